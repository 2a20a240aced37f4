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
  const record: Record<string, unknown> = { ...event?.record };
  if (event === undefined) record['log'] = line;
  const text = event?.text ?? JSON.stringify(record);
  expect(parseExact(text)).toEqual(record);
  for (const key of wanted.may ?? []) if (!(key in wanted.record)) delete record[key];
  expect({ line, record, time: timeLike(event, wanted.time) }).toEqual({
    line,
    record: wanted.record,
    time: wanted.time,
  });
}

/** The event's time in the form and to the microsecond in which the expected one is given. */
function timeLike(event: ReturnType<typeof parseLine>, wanted: Expected['time']): Expected['time'] {
  if (event === undefined || Number.isNaN(event.seconds)) return 'now';
  const { seconds, nanos } = event;
  if (typeof wanted !== 'object') {
    const time = seconds + nanos / 1e9;
    return typeof wanted === 'number' && Math.abs(time - wanted) < 1e-6 ? wanted : time;
  }
  const text = new Date(seconds * 1000).toISOString();
  const year = new Date().getUTCFullYear();
  if (!text.startsWith(`${year}-`)) return seconds;
  return { noyear: `${text.slice(5, 19)}.${String(1e9 + nanos).slice(1, 7)}` };
}
