/**
 * The contract of an output (src/plugin.ts), as tests that every output runs: `describeOutput('file', …)`.
 *
 * What an output cannot do is skipped with the reason that its description gives.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Output, Outcome, Slice } from '../../src/plugin.ts';
import { noAbort, parseExact, partOf, sliceOf } from './support.ts';

/** An output in its surroundings, made anew for each test. */
export interface OutputUnderTest {
  output: Output;
  /** The records that have arrived, as parsed JSON; undefined for an output that shows none. */
  arrived?(): unknown[] | Promise<unknown[]>;
  /** Removes the surroundings; after the output's `close`. */
  cleanUp(): void | Promise<void>;
}

/** JSON that is hard to carry; no two are equal. */
const HARD_RECORDS = [
  '{}',
  '{"text":"grüße, 日本, 😀, \\u2028, \\ud83d\\ude00"}',
  '{"big":12345678901234567890,"small":-9223372036854775808}',
  '{"__proto__":{"polluted":true},"constructor":"c"}',
  '{"nothing":null,"list":[null,[],{}],"off":false}',
  '{"quote\\"key":"a\\"b\\\\c","line":"one\\ntwo"}',
  '{ "spaced" : 1 }',
];

const ALL_DELIVERED: Outcome = { retry: [], rejected: [] };

/** `create` makes the output and whatever it writes to. */
export function describeOutput(name: string, create: () => Promise<OutputUnderTest>): void {
  describe(`${name} keeps the contract of outputs`, () => {
    let under: OutputUnderTest;

    beforeEach(async () => {
      under = await create();
    });

    afterEach(async () => {
      await under.output.close?.();
      await under.cleanUp();
    });

    const deliver = async (slices: readonly Slice[]): Promise<Outcome> => {
      const { retry = [], rejected = [] } = await under.output.deliver(slices, noAbort());
      return { retry, rejected };
    };
    /** What arrived; what the records were, for an output that shows nothing. */
    const arrivedOr = async (records: unknown[]): Promise<unknown[]> => (await under.arrived?.()) ?? records;

    it('delivers records of several slices and tags', async () => {
      const many = sliceOf('app.a', ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}']);
      expect(await deliver([partOf(many, 1, 3), sliceOf('app.b', ['{"n":5}'])])).toEqual(ALL_DELIVERED);
      const expected = [{ n: 2 }, { n: 3 }, { n: 5 }];
      const arrived = await arrivedOr(expected);
      expect(arrived).toHaveLength(3);
      expect(arrived).toEqual(expect.arrayContaining(expected));
    });

    it('delivers a slice of one record', async () => {
      expect(await deliver([partOf(sliceOf('app', ['{"n":1}', '{"n":2}']), 1, 2)])).toEqual(ALL_DELIVERED);
      expect(await arrivedOr([{ n: 2 }])).toEqual([{ n: 2 }]);
    });

    it('carries records that are hard to carry', async () => {
      const expected = HARD_RECORDS.map((text) => parseExact(text));
      expect(await deliver([sliceOf('app', HARD_RECORDS)])).toEqual(ALL_DELIVERED);
      expect(await arrivedOr(expected)).toEqual(expected);
    });

    it('delivers in order, attempt after attempt', async () => {
      const expected = Array.from({ length: 5 }, (_, n) => ({ n }));
      for (const record of expected)
        expect(await deliver([sliceOf('app', [{ record }])])).toEqual(ALL_DELIVERED);
      expect(await arrivedOr(expected)).toEqual(expected);
    });

    it('gives up at once when the signal was aborted before', async () => {
      const reason = new Error('The test stops.');
      await expect(async () =>
        under.output.deliver([sliceOf('app', ['{}'])], AbortSignal.abort(reason)),
      ).rejects.toBe(reason);
    });

    it('can be closed twice', async () => {
      expect(await deliver([sliceOf('app', ['{"n":1}'])])).toEqual(ALL_DELIVERED);
      await under.output.close?.();
      expect(await under.output.close?.()).toBeUndefined();
    });
  });
}
