/**
 * The `stdout` output: Fluent Bit's formats, and `pretty` for people.
 *
 * What a terminal would obey is escaped wherever a terminal is attached, and always in `pretty`; `raw` switches that off.
 */
import { allDelivered, boolean, defineOutput, enumOf, SinkPool } from '../../src/plugin.ts';
import type { OptionValues, Output } from '../../src/plugin.ts';
import { jsonDateKey, jsonDateOptions } from '../shared/json-date-options.ts';
import { makeWriter } from './stdout/format.ts';
import { openTarget, wantsColor } from './stdout/target.ts';
import type { Target } from './stdout/target.ts';

const options = {
  format: enumOf('msgpack', 'json', 'json_lines', 'json_stream', 'pretty')
    .default('msgpack')
    .describe(
      '`msgpack` prints `[n] tag: [[time, {metadata}], {record}]` as text; `pretty` is one line for people.',
    ),
  ...jsonDateOptions,
  color: enumOf('auto', 'always', 'never')
    .default('auto')
    .describe('Colours of `pretty`; `auto`: on a terminal, unless NO_COLOR is set.'),
  raw: boolean().default(false).describe('Passes control characters of records to the terminal as they are.'),
};

export default defineOutput({
  name: 'stdout',
  summary: 'Writes records to standard output',
  options,
  traits: () => ({ order: 'all' }),
  example: `pipeline:
  outputs:
    - name: stdout
      match: '*'
      format: pretty
`,
  create: (written) => outputTo(openTarget(), written),
});

/** The output, on any target. */
export function outputTo(target: Target, written: OptionValues<typeof options>): Output {
  const { format, raw } = written;
  const writer = makeWriter({
    format,
    dateKey: jsonDateKey(written.json_date_key),
    dateFormat: written.json_date_format,
    color: wantsColor(written.color, target.isTerminal, process.env),
    escape: !raw && (target.isTerminal || format === 'pretty'),
  });
  const pool = new SinkPool();
  return {
    async deliver(slices, signal) {
      signal.throwIfAborted();
      const sink = pool.take();
      writer(slices, sink);
      // After an abort the stream may still hold the bytes: then the sink is not used again.
      await target.write(sink.bytes, signal);
      pool.give(sink);
      return allDelivered;
    },
  };
}
