import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileKeyFormat } from '../../../../plugins/outputs/s3/key-format.ts';
import type { KeyFormatOptions } from '../../../../plugins/outputs/s3/key-format.ts';

const FACTS = {
  tag: 'kube.prod.nginx',
  sequence: 7,
  id: 'Ab3dEf9h',
  seconds: 1_700_000_000,
  nanos: 123_456_789,
};

const key = (
  format: string,
  facts: Partial<typeof FACTS> = {},
  more: Partial<KeyFormatOptions> = {},
): string =>
  compileKeyFormat({ format, tagDelimiters: '.', asWritten: false, ...more }).render({ ...FACTS, ...facts });

describe('s3_key_format', () => {
  it.each([
    [
      '/fluent-bit-logs/$TAG/%Y/%m/%d/%H/%M/%S',
      'fluent-bit-logs/kube.prod.nginx/2023/11/14/22/13/20-objectAb3dEf9h',
    ],
    ['/$TAG[2]/$TAG[0]/%Y%m%dT%H%M%S-$UUID.json.gz', 'nginx/kube/20231114T221320-Ab3dEf9h.json.gz'],
    ['logs/$INDEX', 'logs/7'],
    ['/logs/%Y.json.gz', 'logs/2023-objectAb3dEf9h.json.gz'],
    ['/$TAG[9]/x-$INDEX', '/x-7'],
    ['/%L/%3N/$UUID', '123/123/Ab3dEf9h'],
    ['/$TAGS/$UUIDs', 'kube.prod.nginxS/Ab3dEf9hs'],
  ])('%s', (format, expected) => {
    expect(key(format)).toBe(expected);
  });

  it('other delimiters cut the tag elsewhere', () => {
    expect(key('/$TAG[1]/$TAG[2]/$INDEX', { tag: 'a-b.c' }, { tagDelimiters: '.-' })).toBe('b/c/7');
  });

  it('static_file_path adds nothing', () => {
    expect(key('/$TAG/%Y', {}, { asWritten: true })).toBe('kube.prod.nginx/2023');
    expect(compileKeyFormat({ format: '/$TAG', tagDelimiters: '.', asWritten: true }).isUnique).toBe(false);
  });

  it('knows whether the tag tells objects apart', () => {
    const has = (format: string): boolean =>
      compileKeyFormat({ format, tagDelimiters: '.', asWritten: false }).hasTag;
    expect([has('/$TAG'), has('/$TAG[0]'), has('/%Y/$UUID')]).toEqual([true, true, false]);
  });

  it('a tag adds no slash, no dots for a segment, no strftime and no variable', () => {
    expect(key('/in/$TAG/$INDEX', { tag: '../../etc' })).toBe('in/..%2F..%2Fetc/7');
    expect(key('/in/$TAG/$INDEX', { tag: '..' })).toBe('in/%2E%2E/7');
    expect(key('/in/$TAG/$INDEX', { tag: '%Y $UUID\n' })).toBe('in/%25Y%20%24UUID%0A/7');
  });

  it('whatever the tag: confined, bounded, and unlike that of another tag', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 3000 }),
        fc.string({ unit: 'binary' }),
        (tag, other) => {
          const rendered = key('/in/$TAG/$TAG[0]/$INDEX', { tag });
          expect(rendered.startsWith('in/')).toBe(true);
          expect(rendered.split('/')).toHaveLength(4);
          expect(rendered.split('/').some((segment) => segment === '.' || segment === '..')).toBe(false);
          expect(Buffer.byteLength(rendered)).toBeLessThanOrEqual(1024);
          expect(rendered.isWellFormed()).toBe(true);
          expect(rendered).not.toMatch(/[\u0000-\u001f\u007f]/);
          if (tag.isWellFormed() && other.isWellFormed() && tag !== other)
            expect(key('/in/$TAG/$INDEX', { tag: other })).not.toBe(key('/in/$TAG/$INDEX', { tag }));
        },
      ),
    );
  });
});
