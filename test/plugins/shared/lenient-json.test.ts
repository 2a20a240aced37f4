import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { escapeControls } from '../../../plugins/shared/lenient-json.ts';

it.each([
  ['nothing to escape', '{"a":"b"}', undefined],
  ['white space between values', '{\t"a":\r\n"b"}\n', undefined],
  ['a line end', '{"a":"1\n2"}', '{"a":"1\\n2"}'],
  ['behind a quote that is escaped', '{"a":"\\"\t"}', '{"a":"\\"\\t"}'],
  ['several together, at both ends', '["\u0001\u0000\b",\n"\f"]', '["\\u0001\\u0000\\b",\n"\\f"]'],
])('%s', (_, text, expected) => {
  expect(escapeControls(text)).toBe(expected);
});

it('makes JSON of any texts, however many there are to escape', () => {
  const texts = fc.array(
    fc.string({ unit: fc.constantFrom('a', '\n', '\t', '\u0001', '\\', '"', '…'), maxLength: 50 }),
  );
  fc.assert(
    fc.property(texts, fc.constantFrom(1, 1000), (some, times) => {
      const values = some.map((text) => text.repeat(times));
      const raw = values.map((text) => `"${text.replaceAll(/[\\"]/g, (char) => `\\${char}`)}"`);
      const text = `[${raw.join('\n,')}]`;
      expect(JSON.parse(escapeControls(text) ?? text)).toEqual(values);
    }),
    { numRuns: 50 },
  );
});
