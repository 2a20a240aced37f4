import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitEnvelopes } from '../../../../plugins/inputs/splunk/split.ts';

function split(body: string): (string | undefined)[] {
  const pieces: (string | undefined)[] = [];
  splitEnvelopes(body, (text) => pieces.push(text));
  return pieces;
}

describe('splitEnvelopes', () => {
  it.each<[string, (string | undefined)[]]>([
    ['', []],
    [' \r\n\t', []],
    ['{}', ['{}']],
    ['{"a":1}{"b":2}', ['{"a":1}', '{"b":2}']],
    [' {"a":1} \n\n{"b":{"c":[{}]}}\r\n', ['{"a":1}', '{"b":{"c":[{}]}}']],
    ['{"a":"}{","b":"\\"{"}{}', ['{"a":"}{","b":"\\"{"}', '{}']],
    ['{"a":"\\\\"}{"b":1}', ['{"a":"\\\\"}', '{"b":1}']],
    ['[]', []],
    [' [ {"a":1} , {"b":2} ] ', ['{"a":1}', '{"b":2}']],
    // What is broken does not take along what is behind it.
    ['{"a":x}{"b":2}', ['{"a":x}', '{"b":2}']],
    ['nonsense {}\n{"b":2}', [undefined, '{"b":2}']],
    ['{"a":1}{"b":\n{"c":3}', ['{"a":1}', undefined, '{"c":3}']],
    ['{"a":"x}{"b":2}', [undefined]],
    ['{}},{"a":1}', ['{}', undefined]],
    ['[{"a":1}]\n{"b":2}', ['{"a":1}', undefined, '{"b":2}']],
    ['[1,"a"]', [undefined]],
  ])('%j', (body, pieces) => {
    expect(split(body)).toEqual(pieces);
  });

  it('finds each object of any list of objects, however they are set apart', () => {
    const objects = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 });
    fc.assert(
      fc.property(objects, fc.constantFrom('', ' ', '\n', '\r\n\t'), (values, between) => {
        const texts = values.map((value) => JSON.stringify(value));
        expect(split(texts.join(between))).toEqual(texts);
        expect(split(`[${texts.join(`${between},`)}]`)).toEqual(texts);
      }),
    );
  });

  it('does not read the rest again and again for objects that do not end', () => {
    expect(split('{\n'.repeat(100_000)).length).toBeLessThan(100);
  });
});
