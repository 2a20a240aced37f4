import { describe, expect, it } from 'vitest';
import {
  boolean,
  csv,
  enumOf,
  ignored,
  integer,
  kv,
  many,
  secret,
  size,
  string,
} from '../../src/config/schema.ts';

describe('options', () => {
  it('are required unless something else is said', () => {
    expect(string().spec.required).toBe(true);
    expect(string().optional().spec.required).toBe(false);
    expect(string().default('x').spec.required).toBe(false);
  });

  it('take a default as it would be written, or as its value', () => {
    expect(size().default('10M').spec).toMatchObject({ defaultValue: 10_000_000, defaultText: '10M' });
    expect(boolean().default(true).spec).toMatchObject({ defaultValue: true, defaultText: 'on' });
    expect(csv().default('a, b').spec.defaultValue).toEqual(['a', 'b']);
  });

  it('refuse a default that is wrong', () => {
    expect(() => size().default('lots')).toThrow('is not a size');
  });

  it('are not changed by what is said of them', () => {
    const option = integer();
    option.default(5).alias('five').describe('Five.');
    expect(option.spec).toMatchObject({ required: true, aliases: [], description: '' });
  });

  it('enumerations take any case and give the word as declared', () => {
    expect(enumOf('POST', 'PUT').spec.read(['post'])).toEqual({ ok: true, value: 'POST' });
    expect(enumOf('json', 'json_lines').spec.read(['jsn_lines'])).toEqual({
      ok: false,
      problems: [{ index: 0, message: 'is none of json, json_lines — did you mean "json_lines"?' }],
    });
  });

  it('pairs are split at the first white space', () => {
    expect(kv().spec.read(['X-Key a b', 'Y\tc'])).toEqual({
      ok: true,
      value: [
        ['X-Key', 'a b'],
        ['Y', 'c'],
      ],
    });
    expect(kv().spec.read(['X a', 'alone']).ok).toBe(false);
  });

  it('lists are split at commas, repeated keys are not', () => {
    expect(csv().spec.read(['a, b', 'c'])).toEqual({ ok: true, value: ['a', 'b', 'c'] });
    expect(many().spec.read(['a, b', 'c'])).toEqual({ ok: true, value: ['a, b', 'c'] });
  });

  it('secrets show nothing', () => {
    const reading = secret().spec.read(['hunter2']);
    expect(reading.ok && reading.value.reveal()).toBe('hunter2');
    expect(JSON.stringify(reading)).not.toContain('hunter2');
    expect(String(reading.ok ? reading.value : '')).toBe('***');
  });

  it('what is ignored says why', () => {
    expect(ignored('there are no threads').spec).toMatchObject({
      required: false,
      ignored: 'there are no threads',
    });
  });
});
