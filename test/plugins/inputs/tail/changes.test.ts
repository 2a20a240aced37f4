/** Lines that are joined in another way each time that the agent is started: each is in some record, whole and in its place. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createParser } from '../../parsers/parsing.ts';
import { tail, workspace } from './harness.ts';
import { amount, faultsOf, fragment, fragments, live, someLines, steps } from './histories.ts';
import type { Line } from './histories.ts';

const AMOUNT = amount(15);
const TIME = '2024-05-07T18:57:50.904275087Z';

const parsers = {
  /** The first line of a record, as it stands in the file. */
  first: createParser({
    name: 'first',
    format: 'regex',
    regex: String.raw`^(?<log>.*(?:[FP] |"log":")#.*)$`,
  }),
};

const WAYS: Record<string, string>[] = [
  {},
  { 'multiline.parser': 'cri' },
  { 'multiline.parser': 'docker' },
  { 'multiline.parser': 'docker,cri' },
  { docker_mode: 'on' },
  { docker_mode: 'on', docker_mode_parser: 'first' },
  { multiline: 'on', parser_firstline: 'first' },
];

const FORMATS = {
  cri: ({ stream, partial }: Pick<Line, 'stream' | 'partial'>, text: string): string =>
    `${TIME} ${stream} ${partial ? 'P' : 'F'} ${text}\n`,
  docker: ({ stream, partial }: Pick<Line, 'stream' | 'partial'>, text: string): string =>
    `${JSON.stringify({ log: partial ? text : `${text}\n`, stream, time: TIME })}\n`,
};

const agents = fc.array(
  fc.record({
    way: fc.constantFrom(...WAYS),
    limit: fc.constantFrom('2M', '2M', '30k'),
    mayKeep: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 20_000),
  }),
  { minLength: 1, maxLength: 4 },
);

it(
  'lines of containers, joined in another way each time that the agent is started, are all delivered',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        someLines,
        fc.constantFrom('cri', 'docker'),
        agents,
        steps(['stop', 'kill', 'kill', 'rotate', 'compress', 'settle']),
        async (lines, format, starts, history) => {
          const write = FORMATS[format];
          const ends = ['', '#0', '!0'].flatMap((text) =>
            (['stdout', 'stderr'] as const).map((stream) => write({ stream, partial: false }, text)),
          );
          const content =
            lines.map((line, index) => write(line, fragment(line, index))).join('') + ends.join('');
          const root = workspace();
          const path = join(root, 'logs', 'a.log');
          mkdirSync(join(root, 'logs'));
          let started = 0;
          const delivered = await live(
            {
              ...fragments(lines),
              path,
              write: (text) => appendFileSync(path, text),
              start: async () => {
                const { way, limit, mayKeep } = starts[started++ % starts.length] as (typeof starts)[number];
                const run = await tail(
                  {
                    path,
                    read_from_head: 'on',
                    multiline_flush: '60',
                    multiline_buffer_limit: limit,
                    ...way,
                  },
                  { state: join(root, 'state'), keepBack: true, parsers },
                );
                run.mayKeep = mayKeep;
                return run;
              },
            },
            content,
            history,
          );
          // What `docker_mode` and `multiline` join, they join whatever the stream is.
          const byStream = starts.every(({ way }) => way['multiline.parser'] !== undefined);
          expect(faultsOf(delivered, lines, { byStream })).toEqual([]);
        },
      ),
      AMOUNT,
    );
  },
  60_000 + AMOUNT.numRuns * 2000,
);
