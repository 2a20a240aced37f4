/**
 * A push request as JSON:
 *
 *     {"streams":[{"stream":{"job":"app"},"values":[["1700000000500000000","line"],["…","line",{"trace":"…"}]]}]}
 *
 * Lines are JSON strings of the bytes that the chunk has: only quotes, backslashes and control characters are escaped on the way.
 *
 * Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs
 */
import type { ByteSink } from '../../../src/plugin.ts';
import type { Entries } from './entries.ts';
import type { Pair } from './fields.ts';
import type { Stream } from './streams.ts';

const QUOTE = 34;
const BACKSLASH = 92;
const SPACE = 32;
const COMMA = 44;
const ZERO = 48;
/** Brackets, quotes, commas and a time. */
const AROUND_LINE = 48;
/** How control characters are written. */
const CONTROLS = Array.from({ length: SPACE }, (_, code) =>
  JSON.stringify(String.fromCharCode(code)).slice(1, -1),
);

/** Appends the request with these streams. */
export function writeJsonPush(streams: readonly Stream[], entries: Entries, sink: ByteSink): void {
  sink.text('{"streams":[');
  streams.forEach((stream, at) => {
    sink.text(`${at === 0 ? '' : ','}{"stream":${object(stream.labels)},"values":[`);
    writeValues(stream.entries, entries, sink);
    sink.text(']}');
  });
  sink.text(']}');
}

function object(pairs: readonly Pair[]): string {
  return `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
}

function writeValues(indexes: readonly number[], entries: Entries, sink: ByteSink): void {
  let second = Number.NaN;
  let prefix = '';
  let lastMetadata: readonly Pair[] | undefined;
  let metadataText = '';
  for (let at = 0; at < indexes.length; at++) {
    const index = indexes[at] as number;
    const seconds = entries.seconds[index] as number;
    const nanos = entries.nanos[index] as number;
    const start = entries.starts[index] as number;
    const end = entries.ends[index] as number;
    const memory = entries.memories[entries.memory[index] as number] as Buffer;
    sink.reserve(AROUND_LINE);
    if (seconds !== second) {
      second = seconds;
      prefix = seconds > 0 ? `["${seconds}` : '';
    }
    let to = sink.length;
    const { raw } = sink;
    if (at > 0) raw[to++] = COMMA;
    if (prefix === '') {
      to += raw.write(`["${BigInt(seconds) * 1_000_000_000n + BigInt(nanos)}`, to);
    } else {
      for (let byte = 0; byte < prefix.length; byte++) raw[to++] = prefix.charCodeAt(byte);
      to = writeNineDigits(raw, to, nanos);
    }
    raw[to++] = QUOTE;
    raw[to++] = COMMA;
    raw[to++] = QUOTE;
    sink.length = to;
    writeEscaped(memory, start, end, sink);
    const metadata = entries.metadata?.[index];
    if (metadata === undefined) {
      sink.text('"]');
    } else {
      if (metadata !== lastMetadata) {
        lastMetadata = metadata;
        metadataText = `",${object(metadata)}]`;
      }
      sink.text(metadataText);
    }
  }
}

function writeNineDigits(raw: Buffer, at: number, value: number): number {
  let rest = value;
  for (let digit = 8; digit >= 0; digit--) {
    const tenth = (rest / 10) | 0;
    raw[at + digit] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return at + 9;
}

/** Appends bytes of UTF-8 as the inside of a JSON string. */
function writeEscaped(from: Buffer, start: number, end: number, sink: ByteSink): void {
  let at = writeUntilControl(from, start, end, sink);
  while (at < end) {
    sink.text(CONTROLS[from[at] as number] as string);
    at = writeUntilControl(from, at + 1, end, sink);
  }
}

/** Stops at a control character or at `end`; answers where. */
function writeUntilControl(from: Buffer, start: number, end: number, sink: ByteSink): number {
  sink.reserve((end - start) * 2);
  const { raw } = sink;
  let to = sink.length;
  let at = start;
  for (; at < end; at++) {
    const byte = from[at] as number;
    if (byte < SPACE) break;
    if (byte === QUOTE || byte === BACKSLASH) raw[to++] = BACKSLASH;
    raw[to++] = byte;
  }
  sink.length = to;
  return at;
}
