/**
 * JSON bodies: a map, a list of maps, several of them one after the other, or one per line; and events as Fluent Bit writes them,
 * `[time, map]`. All or nothing: a body with a mistake is refused as a whole, so that its sender can send it again.
 */
import { isRecord, isTooDeep, parseExact } from '../../../src/plugin.ts';
import type { Value } from '../../../src/plugin.ts';
import { readEvent } from '../../shared/json-event.ts';
import { escapeControls } from '../../shared/lenient-json.ts';
import { JsonStream } from '../../shared/json-stream.ts';
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { splitList } from './json-list.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

/** Takes a JSON text in; control characters may stand in its strings, as in Fluent Bit. Throws {@link Refusal}. */
export function decodeJson(body: string, into: RequestBatches): void {
  const text = body.trim();
  if (text === '')
    throw new Refusal(400, 'The body is empty: a JSON object or an array of objects is expected.');
  refuseDeep(text, 'The body');
  const value = parse(text);
  const escaped = value === undefined ? escapeControls(text) : undefined;
  if (escaped !== undefined) decodeJson(escaped, into);
  else if (value === undefined) decodeSeveral(text, into);
  else if (Array.isArray(value) && readEvent(value) === undefined) takeList(text, value, into);
  else takeValue(value, text, 'The body', into);
}

/** Takes lines of JSON in; blank ones do not count. Throws {@link Refusal}. */
export function decodeLines(body: string, into: RequestBatches): void {
  let number = 0;
  for (let start = 0; start < body.length;) {
    let end = body.indexOf('\n', start);
    if (end === -1) end = body.length;
    const line = body.slice(start, end).trim();
    start = end + 1;
    number++;
    if (line === '') continue;
    const where = `Line ${number} of the body`;
    refuseDeep(line, where);
    const value = parse(line);
    if (value === undefined) throw new Refusal(400, `${where} is no valid JSON.`);
    if (Array.isArray(value) && readEvent(value) === undefined) takeList(line, value, into);
    else takeValue(value, line, where, into);
  }
  if (into.byTag.size === 0) throw new Refusal(400, 'The body is empty: lines of JSON are expected.');
}

function refuseDeep(text: string, where: string): void {
  if (isTooDeep(text)) throw new Refusal(400, `${where} nests too deep.`);
}

/** Undefined for what is no JSON. Wide numbers are rounded: their digits are in the text. */
function parse(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}

/** Not one JSON text: several, or a mistake. */
function decodeSeveral(text: string, into: RequestBatches): void {
  let number = 0;
  const stream = new JsonStream(
    {
      value: (value, piece) => {
        if (Array.isArray(value) && readEvent(value) === undefined) takeList(piece.trim(), value, into);
        else takeValue(value, piece.trim(), 'The body', into);
      },
      text() {
        throw new Refusal(
          400,
          `The body is no valid JSON; the mistake is in line ${number} or in what is open there.`,
        );
      },
    },
    text.length + 1,
  );
  for (const line of text.split('\n')) {
    number++;
    stream.push(line);
  }
  stream.end();
}

/** A list of maps and events, with its text. */
function takeList(text: string, list: readonly Value[], into: RequestBatches): void {
  let index = 0;
  splitList(text, (item) => {
    takeValue(list[index] as Value, item, `Item ${index} of a list in the body`, into);
    index++;
  });
}

/** A map or an event. */
function takeValue(value: Value, text: string, where: string, into: RequestBatches): void {
  if (isRecord(value)) {
    if (text.includes('\n') || text.includes('\r')) into.take(parseExact(text) as typeof value, undefined);
    else into.take(value, text);
    return;
  }
  const event = readEvent(value) === undefined ? undefined : readEvent(parseExact(text));
  if (event === undefined) {
    throw new Refusal(400, `${where} is ${nameOf(value)}, where a JSON object is expected.`);
  }
  into.takeEvent(event.record, undefined, event.seconds, event.nanos, event.metadata);
}

function nameOf(value: Value): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list that is no event';
  return `a ${typeof value}`;
}
