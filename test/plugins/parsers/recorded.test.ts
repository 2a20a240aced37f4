/** Feeds the recorded cases of Fluent Bit through the parsers alone: reading, routing and writing are not in between. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { describe, expect, it } from 'vitest';
import { parseExact } from '../../../src/event/json.ts';
import { createParser, parseLine } from './parsing.ts';

const ROOT = join(import.meta.dirname, '../../../../shared/cases/recorded');

interface Expected {
  tag: string;
  time: number | 'now' | { noyear: string };
  record: Record<string, unknown>;
  may?: string[];
}

interface Pipeline {
  parsers: Record<string, unknown>[];
  pipeline: { inputs: { tag: string; path: string; parser?: string }[] };
}

const cases = existsSync(ROOT) ? readdirSync(ROOT).filter((name) => /^(parser|time)-/.test(name)) : [];

describe.skipIf(cases.length === 0)('recorded cases', () => {
  it.each(cases)('%s', (name) => {
    const folder = join(ROOT, name);
    const { parsers, pipeline } = parseYaml(readFileSync(join(folder, 'pipeline.yaml'), 'utf8')) as Pipeline;
    const expected = readFileSync(join(folder, 'expected.ndjson'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => parseExact(line) as unknown as Expected);
    const settings = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as { env?: { TZ?: string } };
    const zone = process.env['TZ'];
    process.env['TZ'] = settings.env?.TZ ?? 'UTC';
    try {
      for (const input of pipeline.inputs) {
        const parser = createParser(parsers.find((entry) => entry['name'] === input.parser) ?? {});
        const lines = readFileSync(join(folder, input.path), 'utf8').split('\n');
        if (lines.at(-1) === '') lines.pop();
        const wanted = expected.filter(({ tag }) => tag === input.tag);
        expect(lines.length).toBe(wanted.length);
        lines.forEach((line, index) => compare(parseLine(parser, line), line, wanted[index] as Expected));
      }
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
  });
});

function compare(event: ReturnType<typeof parseLine>, line: string, wanted: Expected): void {
  const record: Record<string, unknown> = { ...(event?.record ?? { log: line }) };
  if (event?.text !== undefined) expect(parseExact(event.text)).toEqual(record);
  for (const key of wanted.may ?? []) if (!(key in wanted.record)) delete record[key];
  expect(record, line).toEqual(wanted.record);
  const seconds = event?.seconds ?? Number.NaN;
  if (wanted.time === 'now') {
    expect(seconds, line).toBeNaN();
  } else if (typeof wanted.time === 'number') {
    expect(seconds + (event?.nanos ?? 0) / 1e9, line).toBeCloseTo(wanted.time, 5);
  } else {
    const date = new Date(seconds * 1000 + (event?.nanos ?? 0) / 1e6);
    const year = new Date().getUTCFullYear();
    expect(date.toISOString().slice(0, 23), line).toBe(`${year}-${wanted.time.noyear.slice(0, 18)}`);
  }
}
