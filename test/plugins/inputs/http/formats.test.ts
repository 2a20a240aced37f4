import { encode, Encoder, ExtData } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import { Batch } from '../../../../src/plugin.ts';
import { RequestBatches } from '../../../../plugins/shared/http-receiver/batches.ts';
import { mediaTypeOf } from '../../../../plugins/shared/http-receiver/content.ts';
import { decoderFor } from '../../../../plugins/inputs/http/formats.ts';
import { Refusal } from '../../../../plugins/shared/http-receiver/refusal.ts';
import { Room } from '../../../../plugins/shared/http-receiver/room.ts';
import { inputContext } from '../collecting.ts';

const NOW = 1_700_000_000_250;

function decode(type: string, body: string | Buffer): Batch {
  const batches = new RequestBatches({
    tag: 't',
    tagKey: undefined,
    added: [],
    now: NOW,
    room: new Room(inputContext()),
  });
  decoderFor(mediaTypeOf({ headers: { 'content-type': type } }))(Buffer.from(body), batches);
  return batches.byTag.get('t') ?? new Batch();
}

/** The texts of all records. */
function texts(type: string, body: string | Buffer): string[] {
  const batch = decode(type, body);
  return Array.from({ length: batch.length }, (_, index) => batch.json(index));
}

function refusal(type: string, body: string | Buffer): string {
  try {
    decode(type, body);
  } catch (error) {
    if (error instanceof Refusal) return `${error.status} ${error.message}`;
    throw error;
  }
  throw new Error('The body was taken.');
}

const JSON_TYPE = 'application/json; charset=utf-8';

describe('application/json', () => {
  it('takes an object with its own text', () => {
    expect(texts(JSON_TYPE, '{"n":1.50, "big":12345678901234567890,"u":"é😀\\u00e9","e":1E2}')).toEqual([
      '{"n":1.50, "big":12345678901234567890,"u":"é😀\\u00e9","e":1E2}',
    ]);
  });

  it('takes the objects of a list, each with its own text', () => {
    expect(texts(JSON_TYPE, '\ufeff [ {"a":1.0} ,{"b":"],}\\"{[\\\\"},{"c":[1,{"d":2}]} ]\n')).toEqual([
      '{"a":1.0}',
      '{"b":"],}\\"{[\\\\"}',
      '{"c":[1,{"d":2}]}',
    ]);
    expect(texts(JSON_TYPE, '[]')).toEqual([]);
  });

  it('writes what stands on several lines anew, exact', () => {
    expect(texts(JSON_TYPE, '[\n{"a":\r\n9007199254740993}\n,\n{"b":1.0}]')).toEqual([
      '{"a":9007199254740993}',
      '{"b":1.0}',
    ]);
  });

  it('takes several values one after the other', () => {
    expect(texts(JSON_TYPE, '{"a":1}{"b":2}\n{"c":\n3}[{"d":4}]')).toEqual([
      '{"a":1}',
      '{"b":2}',
      '{"c":3}',
      '{"d":4}',
    ]);
  });

  it('takes control characters in texts, as in Fluent Bit', () => {
    expect(texts('application/json', '{"a":"tab\there",\n"b":"line\nend"}')).toEqual([
      '{"a":"tab\\there","b":"line\\nend"}',
    ]);
    expect(texts('application/json', '{"a":"\t"}\n{"b":"\r"}[{"c":"\u0001"}]')).toEqual([
      '{"a":"\\t"}',
      '{"b":"\\r"}',
      '{"c":"\\u0001"}',
    ]);
    expect(refusal('application/json', '{"a":"\t}')).toMatch(/^400/);
  });

  it('takes events with time and metadata, alone and in lists', () => {
    const batch = decode(JSON_TYPE, '[[1.5,{"a":18446744073709551615}],[[2,{"m":1}],{"b":2}],{"c":3}]');
    expect(Array.from(batch.seconds)).toEqual([1, 2, Math.floor(NOW / 1000)]);
    expect(Array.from(batch.nanos)).toEqual([500_000_000, 0, 250_000_000]);
    expect(batch.metadata).toEqual([undefined, { m: 1 }, undefined]);
    expect(batch.json(0)).toBe('{"a":18446744073709551615}');
    expect(Array.from(decode(JSON_TYPE, '[7,{"a":1}]').seconds)).toEqual([7]);
  });

  it('keeps odd keys', () => {
    expect(texts(JSON_TYPE, '[{"__proto__":{"polluted":1}},{"":0}]')).toEqual([
      '{"__proto__":{"polluted":1}}',
      '{"":0}',
    ]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('refuses the whole body for a mistake, in a sentence', () => {
    expect(refusal(JSON_TYPE, ' ')).toBe(
      '400 The body is empty: a JSON object or an array of objects is expected.',
    );
    expect(refusal(JSON_TYPE, '{"a":1}\n{"b":')).toMatch(/^400 The body is no valid JSON/);
    expect(refusal(JSON_TYPE, '{"a":1}\n{"b" 1}\n{"c":1}')).toMatch(/line 2/);
    expect(refusal(JSON_TYPE, '"text"')).toBe('400 The body is a string, where a JSON object is expected.');
    expect(refusal(JSON_TYPE, 'null')).toMatch(/is null/);
    expect(refusal(JSON_TYPE, '[{"a":1},2]')).toBe(
      '400 Item 1 of a list in the body is a number, where a JSON object is expected.',
    );
    expect(refusal(JSON_TYPE, '[[1,2]]')).toMatch(/a list that is no event/);
    expect(refusal(JSON_TYPE, `${'{"a":'.repeat(65)}1${'}'.repeat(65)}`)).toBe(
      '400 The body nests too deep.',
    );
    expect(refusal(JSON_TYPE, '['.repeat(100_000))).toBe('400 The body nests too deep.');
  });
});

describe('application/x-ndjson', () => {
  it('takes a record per line, with its text', () => {
    expect(
      texts('application/x-ndjson', '{"a":1.0}\r\n\n {"b":9007199254740993}\n[{"c":1},{"d":2}]'),
    ).toEqual(['{"a":1.0}', '{"b":9007199254740993}', '{"c":1}', '{"d":2}']);
  });

  it('names the line with the mistake', () => {
    expect(refusal('application/x-ndjson', '{"a":1}\n\n{"b":\n')).toBe(
      '400 Line 3 of the body is no valid JSON.',
    );
    expect(refusal('application/x-ndjson', '{"a":1}\n1')).toMatch(/^400 Line 2 of the body is a number/);
    expect(refusal('application/x-ndjson', '\n')).toMatch(/^400 The body is empty/);
  });
});

describe('application/msgpack', () => {
  const encoder = new Encoder({ useBigInt64: true });
  const eventTime = (seconds: number, nanos: number): ExtData => {
    const data = Buffer.alloc(8);
    data.writeUInt32BE(seconds);
    data.writeUInt32BE(nanos, 4);
    return new ExtData(0, data);
  };

  it('takes maps, events and lists of both', () => {
    const body = Buffer.concat([
      encoder.encode({ a: 18_446_744_073_709_551_615n, f: 1.5, s: 'é', n: null, b: true }),
      encoder.encode([[eventTime(5, 6), { m: 1 }], { b: 2 }]),
      encoder.encode([7.5, { c: 3 }]),
      encoder.encode([{ d: 4 }, [eventTime(8, 9), { e: 5 }]]),
    ]);
    const batch = decode('application/msgpack', body);
    expect(texts('application/msgpack', body)).toEqual([
      '{"a":18446744073709551615,"f":1.5,"s":"é","n":null,"b":true}',
      '{"b":2}',
      '{"c":3}',
      '{"d":4}',
      '{"e":5}',
    ]);
    expect(Array.from(batch.seconds)).toEqual([Math.floor(NOW / 1000), 5, 7, Math.floor(NOW / 1000), 8]);
    expect(Array.from(batch.nanos)).toEqual([250_000_000, 6, 500_000_000, 250_000_000, 9]);
    expect(batch.metadata).toEqual([undefined, { m: 1 }, undefined, undefined, undefined]);
  });

  it('takes a list of an event and a map for that', () => {
    const body = encode([
      [1, { a: 1 }],
      [2, { b: 2 }],
    ]);
    expect(texts('application/msgpack', Buffer.from(body))).toEqual(['{"a":1}', '{"b":2}']);
  });

  it('refuses what is none', () => {
    expect(refusal('application/msgpack', '')).toMatch(/^400 The body is empty/);
    expect(refusal('application/msgpack', Buffer.from([0x01]))).toBe(
      '400 There is no map or event at byte 0 of the body.',
    );
    expect(refusal('application/msgpack', Buffer.from([0x91, 0xc0]))).toBe(
      '400 There is no map or event at byte 1 of the body.',
    );
    expect(refusal('application/msgpack', Buffer.from([0x81, 0xa1]))).toMatch(
      /^400 The body is no valid MessagePack/,
    );
  });
});

describe('forms', () => {
  it('are one record of texts', () => {
    expect(
      texts('application/x-www-form-urlencoded', 'a=1+2&b%20c=%C3%A9%3D&flag&=x& d = e \n&__proto__=y'),
    ).toEqual(['{"a":"1 2","b%20c":"é=","d":"e","__proto__":"y"}']);
  });

  it('keep what is not valid percent-encoding, and bytes that are no UTF-8 as U+FFFD', () => {
    expect(texts('application/x-www-form-urlencoded', 'a=%zz+b&c=%4&d=%&e=%e9%41&f=é%20+')).toEqual([
      '{"a":"%zz+b","c":"%4","d":"%","e":"\ufffdA","f":"é  "}',
    ]);
  });

  it('are refused without a pair, which is what curl says of JSON', () => {
    expect(refusal('application/x-www-form-urlencoded', '{"a":1}')).toMatch(
      /^400 .*Content-Type: application\/json/,
    );
  });
});

describe('other types', () => {
  it('are refused with those that are taken', () => {
    expect(refusal('text/plain', 'x')).toMatch(/^415 This Content-Type is not taken/);
    expect(refusal('', 'x')).toMatch(/^415 The header Content-Type is missing/);
  });
});
