/** The judge: conservation, integrity, order and bounded duplication of numbered lines, from what sinks stored. */
import { expect } from 'vitest';
import type { HttpSink, SinkRequest } from './sink.ts';

/** Every line of these streams is there, none is torn, and the first copies of each stream come in order where that is promised. */
export function expectComplete(
  sink: HttpSink,
  streams: Readonly<Record<string, number>>,
  { inOrder = true }: { inOrder?: boolean } = {},
): void {
  const torn = sink.requests.flatMap(({ others }) => others);
  expect(torn.slice(0, 5), 'torn lines').toEqual([]);
  for (const [stream, total] of Object.entries(streams)) {
    const missing: number[] = [];
    for (let n = 0; n < total; n++) if (!sink.has(stream, n)) missing.push(n);
    expect(missing.slice(0, 20), `${missing.length} of ${total} lines of ${stream} are missing`).toEqual([]);
    if (inOrder)
      expect(firstOutOfOrder(sink, stream), `first line of ${stream} out of order`).toBeUndefined();
  }
}

/** The first line that came for the first time after a higher one. */
function firstOutOfOrder(sink: HttpSink, stream: string): number | undefined {
  const seen = new Set<number>();
  let highest = -1;
  for (const request of sink.requests) {
    if (!request.stored) continue;
    for (const line of request.lines) {
      if (line.stream !== stream || seen.has(line.n)) continue;
      if (line.n < highest) return line.n;
      seen.add(line.n);
      highest = line.n;
    }
  }
  return undefined;
}

/** Copies of lines beyond the first. */
export function countDoubles(sink: HttpSink): number {
  let stored = 0;
  for (const request of sink.requests) if (request.stored) stored += request.lines.length;
  return stored - sink.distinct;
}

/** Stored requests of which some record came again in a later one; those that the sink itself made doubtful are left out. */
export function repeatedRequests(
  sink: Pick<HttpSink, 'requests'>,
  madeDoubtful: (request: SinkRequest) => boolean = () => false,
): SinkRequest[] {
  const again = new Set<string>();
  const repeated: SinkRequest[] = [];
  for (const request of sink.requests.toReversed()) {
    if (!request.stored) continue;
    const keys = request.lines.map(({ stream, n }) => `${stream}:${n}`);
    if (!madeDoubtful(request) && keys.some((key) => again.has(key))) repeated.push(request);
    for (const key of keys) again.add(key);
  }
  return repeated;
}
