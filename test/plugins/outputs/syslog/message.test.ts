import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeDatagrams, writeFrames } from '../../../../plugins/outputs/syslog/frames.ts';
import type { Framing } from '../../../../plugins/outputs/syslog/frames.ts';
import { messageEncoder } from '../../../../plugins/outputs/syslog/message.ts';
import type { Changes } from '../../../../plugins/outputs/syslog/message.ts';
import { messageOptions } from '../../../../plugins/outputs/syslog/options.ts';
import { onOneLine } from '../../../../plugins/outputs/syslog/text.ts';
import { ByteSink } from '../../../../src/codec/bytes.ts';
import type { LogRecord } from '../../../../src/event/record.ts';
import type { Rejection } from '../../../../src/plugin.ts';
import { optionsOf, partOf, sliceOf } from '../../../contract/support.ts';
import type { Event } from '../../../contract/support.ts';
import { countedOf, linesOf, readSyslog3164, readSyslog5424 } from '../../../support/syslog.ts';
import { isReadRight } from '../../../support/json-keys.ts';

type Written = Record<string, string | string[]>;

interface Framed {
  bytes: Buffer;
  rejected: Rejection[];
  changes: Changes;
}

function framed(written: Written, events: readonly (Event | string)[], framing: Framing): Framed {
  const changes: Changes = { cut: 0, fitted: 0, unknown: 0 };
  const encode = messageEncoder(
    optionsOf(messageOptions, written),
    changes,
    framing === 'newline' ? onOneLine : (text) => text,
  );
  const sink = new ByteSink();
  const rejected = writeFrames([sliceOf('app', events)], sink, encode, framing);
  return { bytes: Buffer.from(sink.bytes), rejected, changes };
}

const line = (written: Written, event: Event | string): string => {
  const { bytes } = framed(written, [event], 'newline');
  expect(bytes.at(-1)).toBe(10);
  return bytes.toString('utf8', 0, bytes.length - 1);
};

const KEYS = {
  syslog_severity_key: 'sev',
  syslog_facility_key: 'fac',
  syslog_hostname_key: 'host',
  syslog_appname_key: 'app',
  syslog_procid_key: 'pid',
  syslog_msgid_key: 'mid',
  syslog_message_key: 'log',
  syslog_sd_key: ['sd', "$k['labels']"],
};
const BOM = '\ufeff';

describe('rfc5424', () => {
  it('has all fields', () => {
    const record = {
      sev: 'ERR',
      fac: 'local3',
      host: 'web-1',
      app: 'api',
      pid: 4711,
      mid: 'ID47',
      log: 'grüße',
      sd: { a: 'x', 'b c': 'q"u\\o]te', list: [1, { n: 2n ** 63n }], flag: false, no: null },
      k: { labels: { tier: 'front' } },
    };
    expect(line(KEYS, { record, nanos: 123_456_789 })).toBe(
      `<155>1 2023-11-14T22:13:20.123456Z web-1 api 4711 ID47 ` +
        `[sd a="x" b_c="q\\"u\\\\o\\]te" list="[1,{\\"n\\":9223372036854775808}\\]" flag="false"][labels tier="front"] ${BOM}grüße`,
    );
  });

  it('sends the whole record where no key is named, as it stands', () => {
    expect(line({}, '{"b":1.0,"a":"\\n"}')).toBe(
      `<14>1 2023-11-14T22:13:20.500000Z - - - - - ${BOM}{"b":1.0,"a":"\\n"}`,
    );
  });

  it('sends the whole record where there is neither message nor structured data', () => {
    const options = { syslog_message_key: 'log', syslog_sd_key: 'sd' };
    expect(line(options, '{"msg":"x"}')).toMatch(/ - \ufeff\{"msg":"x"\}$/);
    expect(line(options, '{"sd":{"a":"b"},"msg":"x"}')).toMatch(/ - \[sd a="b"\]$/);
    expect(line(options, '{"log":"","msg":"x"}')).toMatch(/ - \ufeff$/);
    expect(line(options, '{"log":{"n":1}}')).toMatch(/ - \ufeff\{"n":1\}$/);
  });

  it('sends no mark where none is wanted', () => {
    expect(line({ syslog_message_key: 'log', syslog_bom: 'off' }, '{"log":"grüße"}')).toBe(
      '<14>1 2023-11-14T22:13:20.500000Z - - - - - grüße',
    );
    expect(line({ syslog_bom: 'off' }, '{"a":1}')).toMatch(/ - - - - - \{"a":1\}$/);
  });

  it('takes presets, and sends nothing as -', () => {
    const presets = {
      syslog_severity_preset: '2',
      syslog_facility_preset: '23',
      syslog_hostname_preset: 'my host',
      syslog_appname_preset: 'app',
      syslog_message_key: 'log',
    };
    expect(line({ ...KEYS, ...presets, syslog_sd_key: [] }, '{"log":"x","host":"","app":null}')).toBe(
      `<186>1 2023-11-14T22:13:20.500000Z my_host app - - - ${BOM}x`,
    );
  });

  it.each([
    ['0', 0],
    [7, 7],
    ['error', 3],
    ['Warn', 4],
    ['FATAL', 2],
    ['trace', 7],
    [8, 6],
    ['loud', 6],
    [-1, 6],
    [1.5, 6],
    ['constructor', 6],
  ])('severity %j is %d', (severity, expected) => {
    expect(line({ syslog_severity_key: 'sev' }, { record: { sev: severity } })).toMatch(
      `<${8 + expected}>1 `,
    );
  });

  it.each([
    ['0', 0],
    [23, 23],
    ['23', 23],
    ['authpriv', 10],
    [24, 1],
    ['24', 1],
    ['', 1],
  ])('facility %j is %d', (facility, expected) => {
    expect(line({ syslog_facility_key: 'fac' }, { record: { fac: facility } })).toMatch(
      `<${8 * expected + 6}>1 `,
    );
  });

  it('counts what it changes', () => {
    const records: LogRecord[] = [
      { host: 'a b', sev: 'loud', sd: { 'k=': 1, ok: 1 }, log: 'x' },
      { host: 'h'.repeat(256), log: 'x' },
      { host: 'fine', sev: 'err', fac: 3, log: 'x' },
    ];
    const { changes } = framed(
      KEYS,
      records.map((record) => ({ record })),
      'newline',
    );
    expect(changes).toEqual({ cut: 0, fitted: 3, unknown: 1 });
  });

  it('cuts names at 32 characters unless longer ones are allowed', () => {
    const long = 'n'.repeat(40);
    const options = { syslog_sd_key: `s${long}`, syslog_message_key: 'log' };
    const record = { log: 'x', [`s${long}`]: { [long]: 'v' } };
    expect(line(options, { record })).toContain(`[s${long.slice(0, 31)} ${long.slice(0, 32)}="v"]`);
    expect(line({ ...options, allow_longer_sd_id: 'on' }, { record })).toContain(`[s${long} ${long}="v"]`);
  });

  it('cuts the text at syslog_maxsize, at the border of a character', () => {
    const whole = line({ syslog_message_key: 'log' }, { record: { log: '' } });
    const size = Buffer.byteLength(whole);
    const options = { syslog_message_key: 'log', syslog_maxsize: String(size + 5) };
    const { bytes, changes } = framed(
      options,
      [
        { record: { log: 'aü€😀' } },
        { record: { log: 'aü€' } },
        { record: { log: 'aüb€' } },
        { record: { log: '12345' } },
      ],
      'newline',
    );
    // 1 + 2 + 3 bytes are 6.
    expect(linesOf(bytes).map((message) => readSyslog5424(message).text)).toEqual([
      'aü',
      'aü',
      'aüb',
      '12345',
    ]);
    expect(changes.cut).toBe(3);
  });

  it('rejects what is too large before its text', () => {
    const { bytes, rejected } = framed(
      { syslog_sd_key: 'sd', syslog_maxsize: '100', syslog_message_key: 'log' },
      ['{"log":"a"}', { record: { sd: { v: 'x'.repeat(200) }, log: 'b' } }, '{"log":"c"}'],
      'octet_counting',
    );
    expect(rejected).toEqual([
      {
        index: 1,
        reason: expect.stringMatching(
          /^The message has \d+ bytes before its text, more than syslog_maxsize, 100\.$/,
        ),
      },
    ]);
    expect(countedOf(bytes).map((message) => readSyslog5424(message).text)).toEqual(['a', 'c']);
  });

  it('has no time where the calendar has none', () => {
    expect(line({}, { record: {}, seconds: -1 })).toMatch(/^<14>1 - - /);
    expect(line({}, { record: {}, seconds: 253_402_300_800 })).toMatch(/^<14>1 - - /);
    expect(line({}, { record: {}, seconds: 253_402_300_799, nanos: 999_999_999 })).toMatch(
      /^<14>1 9999-12-31T23:59:59\.999999Z - /,
    );
  });
});

describe('rfc3164', () => {
  const OLD = { ...KEYS, syslog_format: 'rfc3164', syslog_sd_key: [] };

  it('has time, host, tag and text', () => {
    const record = { sev: 3, host: 'web-1', app: 'api', pid: 47, log: 'hello', mid: 'no' };
    expect(line(OLD, { record, seconds: 1_709_283_600 })).toBe('<11>Mar  1 09:00:00 web-1 api[47]: hello');
    expect(line(OLD, { record: { ...record, pid: null } })).toBe('<11>Nov 14 22:13:20 web-1 api: hello');
    expect(line(OLD, { record: { log: 'hello' } })).toBe('<14>Nov 14 22:13:20 hello');
  });

  it('keeps a tag from ending early, or the host from becoming two words', () => {
    expect(line(OLD, { record: { host: 'a b', app: 'x[1]: y', pid: '1]:', log: 'z' } })).toBe(
      '<14>Nov 14 22:13:20 a_b x_1___y[1__]: z',
    );
  });
});

describe('framing', () => {
  it('by lines sends line ends inside as rsyslog writes them', () => {
    const { bytes } = framed(
      { syslog_message_key: 'log' },
      [{ record: { log: 'a\nb\r\n\0c\td' } }],
      'newline',
    );
    expect(linesOf(bytes).map((message) => readSyslog5424(message).text)).toEqual(['a#012b#015#012#000c\td']);
  });

  it('by length leaves the text as it is', () => {
    const { bytes } = framed(
      { syslog_message_key: 'log' },
      [{ record: { log: 'a\nb\0' } }, { record: { log: '12 <14>1' } }],
      'octet_counting',
    );
    expect(countedOf(bytes).map((message) => readSyslog5424(message).text)).toEqual(['a\nb\0', '12 <14>1']);
  });

  it('by datagram too, and knows whose each is', () => {
    const changes: Changes = { cut: 0, fitted: 0, unknown: 0 };
    const options = optionsOf(messageOptions, {
      syslog_message_key: 'log',
      syslog_sd_key: 'sd',
      syslog_maxsize: '90',
    });
    const encode = messageEncoder(options, changes, (text) => text);
    const sink = new ByteSink();
    const ends: number[] = [];
    const records: number[] = [];
    const slices = [
      partOf(sliceOf('a', ['{"log":"0"}', '{"log":"a\\n"}']), 1, 2),
      sliceOf('b', [{ record: { sd: { a: 'x'.repeat(99) } } }, '{"log":"c"}']),
    ];
    const rejected = writeDatagrams(slices, sink, encode, ends, records);
    expect(rejected.map(({ index }) => index)).toEqual([1]);
    expect(records).toEqual([0, 2]);
    expect(readSyslog5424(sink.bytes.subarray(0, ends[0])).text).toBe('a\n');
    expect(readSyslog5424(sink.bytes.subarray(ends[0], ends[1])).text).toBe('c');
  });
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '\n',
    '\r\n',
    '\0',
    ']',
    '"',
    '\\',
    ' ',
    '<14>1 - - - - - -',
    '] [x y="z"]',
    '5 hello',
    '\ud800',
    BOM,
  ),
  fc.string(),
);
const anyKey = anyText.filter(isReadRight);
const anyValue = fc.oneof(
  anyText,
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(anyText),
  fc.dictionary(anyKey, anyText),
);
const anyRecord = fc.record(
  {
    sev: anyValue,
    fac: anyValue,
    host: anyValue,
    app: anyValue,
    pid: anyValue,
    mid: anyValue,
    log: anyText,
    sd: fc.dictionary(anyKey, anyValue),
    k: fc.record({ labels: fc.dictionary(anyKey, anyValue) }),
  },
  { requiredKeys: ['log'] },
);

describe('whatever stands in records', () => {
  it.each(['newline', 'octet_counting'] as const)(
    '%s: as many messages as records, each well-formed, texts kept',
    (framing) => {
      fc.assert(
        fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), (records) => {
          const { bytes, rejected } = framed(
            KEYS,
            records.map((record) => ({ record: record as LogRecord })),
            framing,
          );
          expect(rejected).toEqual([]);
          const messages = (framing === 'newline' ? linesOf : countedOf)(bytes).map((message) =>
            readSyslog5424(message),
          );
          const expected = records.map(({ log }) =>
            (framing === 'newline' ? onOneLine(log) : log).toWellFormed(),
          );
          expect(messages.map(({ text }) => text)).toEqual(expected);
          for (const [at, { data }] of messages.entries()) {
            const said = Object.values(records[at]?.sd ?? {}).filter((value) => value !== null);
            expect(data['sd'] ?? []).toHaveLength(said.length);
          }
        }),
      );
    },
  );

  it('rfc3164: as many lines as records', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), (records) => {
        const written = { ...KEYS, syslog_format: 'rfc3164', syslog_sd_key: [] };
        const { bytes } = framed(
          written,
          records.map((record) => ({ record: record as LogRecord })),
          'newline',
        );
        const messages = linesOf(bytes).map(readSyslog3164);
        expect(messages).toHaveLength(records.length);
        for (const [at, { rest }] of messages.entries())
          expect(rest.endsWith(onOneLine(records[at]?.log ?? '').toWellFormed())).toBe(true);
      }),
    );
  });

  it('cuts to well-formed messages of at most that size', () => {
    fc.assert(
      fc.property(anyRecord, fc.integer({ min: 60, max: 300 }), (record, most) => {
        const { bytes, rejected } = framed(
          { ...KEYS, syslog_maxsize: String(most) },
          [{ record: record as LogRecord }],
          'octet_counting',
        );
        const messages = countedOf(bytes);
        expect(messages.length + rejected.length).toBe(1);
        for (const message of messages) {
          expect(message.length).toBeLessThanOrEqual(most);
          expect(record.log.toWellFormed().startsWith(readSyslog5424(message).text ?? '')).toBe(true);
        }
      }),
    );
  });
});
