/**
 * What every filter keeps to, whatever its rules: the suite runs a filter over odd records. A filter's own tests say what it does.
 */
import { describe, expect, it } from 'vitest';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch } from '../../src/event/chunk.ts';
import type {
  Filter,
  FilterContext,
  FilterDefinition,
  LogRecord,
  OptionFields,
  OptionProblem,
  Parser,
} from '../../src/plugin.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { recordingLog } from '../delivery/harness.ts';
import { optionsOf } from './support.ts';

/** Keys and values of a filter in file order, as in YAML. */
export type Written = readonly (readonly [key: string, value: string])[];

function grouped(definition: { options: OptionFields }, written: Written): Record<string, string[]> {
  const values: Record<string, string[]> = {};
  for (const [key, value] of written) {
    const name = Object.keys(definition.options).find(
      (option) => option === key || definition.options[option]?.spec.aliases.includes(key),
    );
    (values[name ?? key] ??= []).push(value);
  }
  return values;
}

function entriesOf(written: Written): FilterContext['entries'] {
  return written.map(([key, value]) => ({ key, value }));
}

export interface TestFilterContext extends FilterContext {
  readonly log: ReturnType<typeof recordingLog>;
}

export function filterContext(written: Written, parsers: readonly Parser[] = []): TestFilterContext {
  return {
    name: 'filter.0',
    log: recordingLog(),
    metrics: new Metrics(),
    entries: entriesOf(written),
    cwd: '.',
    agentVersion: '1.2.3',
    findParser: (name) => parsers.find((candidate) => candidate.name === name),
    parser(name) {
      const parser = parsers.find((candidate) => candidate.name === name);
      if (parser === undefined) throw new Error(`There is no parser ${name}.`);
      return parser;
    },
  };
}

/** A filter as the pipeline would make it. */
export async function createFilter<F extends OptionFields>(
  definition: FilterDefinition<F>,
  written: Written,
  context: FilterContext = filterContext(written),
): Promise<Filter> {
  return definition.create(optionsOf(definition.options, grouped(definition, written)), context);
}

/** What the filter's check finds. */
export function filterProblems<F extends OptionFields>(
  definition: FilterDefinition<F>,
  written: Written,
): readonly OptionProblem[] {
  const options = optionsOf(definition.options, grouped(definition, written));
  return definition.check?.(options, entriesOf(written)) ?? [];
}

/**
 * A batch of records, given as objects or as their JSON texts; event n has the time n. Every other text comes with an object
 * that plain `JSON.parse` made, which may have rounded a number, as the JSON parser hands it over.
 */
export function batchOf(records: readonly (LogRecord | string)[]): Batch {
  const batch = new Batch();
  for (const [index, record] of records.entries()) {
    if (typeof record === 'string') {
      const parsed = index % 2 === 0 ? (JSON.parse(record) as LogRecord) : undefined;
      batch.push(parsed, record, index, 0, index, index + 1);
    } else batch.push(record, undefined, index, 0, index, index + 1);
  }
  return batch;
}

/** The JSON texts of a batch. */
export function textsOf(batch: Batch): string[] {
  return Array.from({ length: batch.length }, (_, index) => batch.json(index));
}

/** Runs one filter over records and returns the JSON texts of what is left. */
export async function runFilter<F extends OptionFields>(
  definition: FilterDefinition<F>,
  written: Written,
  records: readonly (LogRecord | string)[],
): Promise<string[]> {
  const batch = batchOf(records);
  await (await createFilter(definition, written)).process(batch, 'tag');
  return textsOf(batch);
}

const DEEP = `${'{"a":['.repeat(30)}1${']}'.repeat(30)}`;
const ODD: readonly string[] = [
  '{}',
  '{"log":"text","level":"error"}',
  '{"log":null}',
  '{"log":["a",1,null,{"b":2}]}',
  '{"log":{"data":"nested"}}',
  '{"log":12345678901234567890}',
  '{"log":true,"n":1.50}',
  '{"log":""}',
  '{"__proto__":{"polluted":true},"constructor":"x","toString":1,"hasOwnProperty":null}',
  '{"":"empty name","1":"number","a b":"blank","a.b":"dot","$x":"dollar","quote\\"":"q"}',
  '{"log":"\\ud800 lone surrogate \\u0000 and line\\nbreak"}',
  `{"log":${DEEP}}`,
];

/** The texts of a batch; what is random in them differs in its digits only. */
function shapes(batch: Batch): string[] {
  return textsOf(batch).map((json) => json.replace(/[\da-f]{8}-[\da-f-]{27}/g, 'uuid'));
}

/** Runs the suite; each entry of `configurations` is one way to write the filter. */
export function filterContract<F extends OptionFields>(
  definition: FilterDefinition<F>,
  configurations: readonly Written[],
  parsers: readonly Parser[] = [],
): void {
  describe.each(configurations.map((written) => ({ written, title: JSON.stringify(written) })))(
    `the contract of filters, $title`,
    ({ written }) => {
      const create = (): Promise<Filter> =>
        createFilter(definition, written, filterContext(written, parsers));

      it('takes odd records without throwing, keeps their order and all columns in step', async () => {
        const batch = batchOf(ODD);
        batch.metadata = ODD.map((_, index) => ({ index }));
        await (await create()).process(batch, 'tag');

        expect(batch.length).toBeLessThanOrEqual(ODD.length);
        for (const column of [batch.starts, batch.stops, batch.seconds, batch.nanos, batch.metadata]) {
          expect(column).toHaveLength(batch.length);
        }
        expect(batch.starts).toEqual(batch.starts.toSorted());
        expect(batch.metadata.map((metadata) => metadata?.['index'])).toEqual([...batch.starts]);
        expect(batch.stops).toEqual(batch.starts.map((start) => start + 1));
      });

      it('leaves records that can be written, each with its text and object in step', async () => {
        const batch = batchOf(ODD);
        await (await create()).process(batch, 'tag');

        const chunk = encodeBatch('tag', batch, true, 0);
        expect(chunk.length).toBe(batch.length);
        expect(chunk.bytes.toString().split('\n')).toHaveLength(batch.length + 1);
        for (let index = 0; index < batch.length; index++) {
          expect(JSON.parse(batch.json(index))).toEqual(JSON.parse(JSON.stringify(batch.record(index))));
        }
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      });

      it('does to raw lines what it does to the records that they stand for', async () => {
        const lines = ['error one', '', 'a "quote"', 'level=error msg=two'];
        const raw = new Batch();
        const text = lines.join('\n');
        raw.useLines('log', { slice: (start, stop) => text.slice(start, stop) });
        let start = 0;
        for (const line of lines) {
          raw.pushLine(0, 0, start, start + line.length, 0, 0);
          start += line.length + 1;
        }
        const parsed = batchOf(lines.map((log) => ({ log })));
        const filter = await create();
        await filter.process(raw, 'tag');
        await filter.process(parsed, 'tag');
        expect(shapes(raw)).toEqual(shapes(parsed));
      });

      it('takes an empty batch', async () => {
        const batch = new Batch();
        await (await create()).process(batch, 'tag');
        expect(batch.length).toBe(0);
      });

      it('finds no mistake in this configuration', () => {
        expect(filterProblems(definition, written).filter(({ level }) => level !== 'warning')).toEqual([]);
      });
    },
  );
}
