import { describe, expect, it } from 'vitest';
import { hashFields, hashText } from '../../src/codec/hash-text.ts';

describe('hashText', () => {
  it.each([
    ['{}', '{}'],
    ['{"a":"x","b":[1,-2,[]],"c":{"d":null}}', '{"a"=>"x", "b"=>[1, -2, []], "c"=>{"d"=>nil}}'],
    ['{"t":true,"f":false,"true":"null"}', '{"t"=>true, "f"=>false, "true"=>"null"}'],
    [
      '{"i":1,"d":1.0,"e":1.5e3,"m":-0.25,"w":12345678901234567890}',
      '{"i"=>1, "d"=>1.000000, "e"=>1500.000000, "m"=>-0.250000, "w"=>12345678901234567890}',
    ],
    ['{"q":"a \\"b\\" \\\\","u":"\\u00e9","n":"1\\n2\\r"}', '{"q"=>"a "b" \\", "u"=>"é", "n"=>"1\\n2\\r"}'],
    ['{ "a" : [ 1 , 2 ] }', '{"a"=>[1, 2]}'],
    ['{"__proto__":{"x":1}}', '{"__proto__"=>{"x"=>1}}'],
    ['{"big":1e400}', '{"big"=>1e400}'],
  ])('%s', (json, expected) => {
    expect(hashText(json)).toBe(expected);
  });
});

describe('hashFields', () => {
  it('lists the members of the top level, with and without quotes', () => {
    expect(
      hashFields('{"a":"x","b":{"c":"y","d":[1,{}]},"e":["s","t"],"f":null,"g":1.5,"h":{},"i":""}'),
    ).toEqual([
      { key: 'a', value: '"x"', plain: 'x' },
      { key: 'b', value: '{"c"=>"y", "d"=>[1, {}]}', plain: '{"c"=>"y", "d"=>[1, {}]}' },
      { key: 'e', value: '["s", "t"]', plain: '["s", "t"]' },
      { key: 'f', value: 'nil', plain: 'nil' },
      { key: 'g', value: '1.500000', plain: '1.500000' },
      { key: 'h', value: '{}', plain: '{}' },
      { key: 'i', value: '""', plain: '' },
    ]);
    expect(hashFields('{}')).toEqual([]);
  });
});
