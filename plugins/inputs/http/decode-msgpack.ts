/**
 * MessagePack bodies: maps, events `[time, map]` and `[[time, metadata], map]` as Fluent Bit's http output sends them, one after
 * the other, and lists of those. All or nothing, as with JSON.
 */
import { isRecord, MsgpackError, MsgpackReader } from '../../../src/plugin.ts';
import type { LogRecord } from '../../../src/plugin.ts';
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

/** Takes a body in. Throws {@link Refusal}. */
export function decodeMsgpack(body: Buffer, into: RequestBatches): void {
  const reader = new MsgpackReader(body, into.room);
  if (reader.peek() === 'end')
    throw new Refusal(400, 'The body is empty: maps or events in MessagePack are expected.');
  try {
    while (reader.peek() !== 'end') {
      if (!takeOne(reader, into)) takeList(reader, into);
    }
  } catch (error) {
    if (error instanceof MsgpackError)
      throw new Refusal(400, `The body is no valid MessagePack: ${error.message}`);
    throw error;
  }
}

function takeList(reader: MsgpackReader, into: RequestBatches): void {
  if (reader.peek() !== 'list')
    throw new Refusal(400, `There is no map or event at byte ${reader.offset} of the body.`);
  const length = reader.readListHead();
  for (let index = 0; index < length; index++) {
    const { offset } = reader;
    if (!takeOne(reader, into))
      throw new Refusal(400, `There is no map or event at byte ${offset} of the body.`);
  }
}

/** Takes a map or an event; false when there is none, and nothing is read then. */
function takeOne(reader: MsgpackReader, into: RequestBatches): boolean {
  if (reader.peek() === 'map') {
    into.take(reader.read() as LogRecord, undefined);
    return true;
  }
  if (reader.peek() !== 'list') return false;
  const start = reader.offset;
  if (takeEvent(reader, into)) return true;
  reader.offset = start;
  return false;
}

function takeEvent(reader: MsgpackReader, into: RequestBatches): boolean {
  if (reader.readListHead() !== 2) return false;
  let metadata: LogRecord | undefined;
  if (reader.peek() === 'list') {
    if (reader.readListHead() !== 2 || !isTime(reader)) return false;
    reader.readTime();
    if (reader.peek() !== 'map') return false;
    const map = reader.read();
    if (isRecord(map) && Object.keys(map).length > 0) metadata = map;
  } else {
    if (!isTime(reader)) return false;
    reader.readTime();
  }
  if (reader.peek() !== 'map') return false;
  const { seconds, nanos } = reader;
  into.takeEvent(reader.read() as LogRecord, undefined, seconds, nanos, metadata);
  return true;
}

function isTime(reader: MsgpackReader): boolean {
  const next = reader.peek();
  return next === 'number' || next === 'extension';
}
