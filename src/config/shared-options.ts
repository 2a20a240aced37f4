/** The keys that all plugins of a kind share; read here, so that no plugin needs to know them. */
import type { RetryLimit } from './definition.ts';
import { netOptions, tlsOptions } from './net-options.ts';
import type { OptionFields } from './options.ts';
import { boolean, enumOf, ignored, integer, single, size, string, time, timeOrOff } from './options.ts';
import { LEVELS } from './service-options.ts';
import type { Read } from './units.ts';

export type PipelineKind = 'input' | 'filter' | 'output';

const NO_THREADS = "it is for the threads of Fluent Bit's engine";
const NO_NETWORK = 'this plugin does not use the network';

const named = {
  alias: string().optional().describe('Name of this instance, in metrics, logs and the state.'),
  log_level: enumOf(...LEVELS)
    .optional()
    .describe("What this plugin logs; without it the service's level."),
  log_suppress_interval: time()
    .default(0)
    .describe('Time in which an equal log message is said once; 0: always.'),
};

const matched = {
  match: string().optional().describe('Tags that it takes; * stands for any text.'),
  match_regex: string().optional().describe('Tags that it takes, as a regular expression; wins over match.'),
};

function retryLimit(text: string): Read<RetryLimit> {
  const word = text.trim().toLowerCase();
  if (['no_limits', 'false', 'off'].includes(word)) return { ok: true, value: 'no_limits' };
  if (word === 'no_retries') return { ok: true, value: 'no_retries' };
  if (/^[0-9]+$/.test(word) && Number(word) > 0) return { ok: true, value: Number(word) };
  const meant =
    word === '0' ? ' — did you mean no_retries?' : word === '-1' ? ' — did you mean no_limits?' : '';
  return {
    ok: false,
    message: `is no retry_limit${meant === '' ? ': write a number from 1, no_limits or no_retries' : meant}`,
  };
}

const retryLimitSchema = {
  anyOf: [
    { type: 'integer', minimum: 1 },
    { enum: ['no_limits', 'no_retries', 'false', 'off', false] },
    { type: 'string', pattern: '^[0-9]+$|\\$\\{' },
  ],
};

export const inputOptions = {
  tag: string().optional().describe('Tag of the records; <plugin>.<n> by default.'),
  ...named,
  mem_buf_limit: size()
    .default(0)
    .describe('Memory for records that are not delivered yet; 0: only the common limit.'),
  routable: boolean().default(true).describe('Only on.'),
  'storage.type': enumOf('memory', 'filesystem', 'memrb')
    .optional()
    .describe(
      'memory, or filesystem: its records go to the disk buffer. Without it what the service says, else memory.',
    ),
  'storage.pause_on_chunks_overlimit': boolean()
    .default(false)
    .describe('It waits while storage.max_chunks_up of its chunks are in memory.'),
  rate_gate: boolean().default(false).describe('Only off yet.'),
  rate_window: ignored('there is no rate gate yet'),
  'rate_gate.max_bytes': ignored('there is no rate gate yet'),
  'rate_gate.max_records': ignored('there is no rate gate yet'),
  'rate_gate.backpressure': ignored('there is no rate gate yet'),
  'rate_gate.resume_ratio': ignored('there is no rate gate yet'),
  threaded: ignored(NO_THREADS),
  'thread.ring_buffer.capacity': ignored(NO_THREADS),
  'thread.ring_buffer.window': ignored(NO_THREADS),
  telemetry: ignored('records are not counted per tag'),
};

export const filterOptions = { ...matched, ...named };

export const outputOptions = {
  ...matched,
  ...named,
  retry_limit: single('retries', retryLimitSchema, retryLimit)
    .default('no_limits')
    .describe('Attempts after the first: a number, no_limits or no_retries.'),
  workers: integer({ min: 0, max: 1024 })
    .optional()
    .describe("Attempts that run at once; 0 or nothing: the plugin's own number."),
  retry_max_age: timeOrOff()
    .default(0)
    .describe(
      'Age from which on a record that could not be delivered is not sent again; 0 or off: never. Over a restart it goes by the clock.',
    ),
  on_failure: string()
    .optional()
    .describe(
      'Name of an output that gets the records that this one gives up, in place of the dead letters.',
    ),
  'storage.total_limit_size': size()
    .default(0)
    .describe('Bytes of records that may wait on disk for it; 0: no limit of its own.'),
  'storage.when_full': enumOf('block', 'drop_oldest')
    .optional()
    .describe('What happens when that, or the whole disk buffer, is full; without it what the service says.'),
};

export const sharedOptions: Readonly<Record<PipelineKind, OptionFields>> = {
  input: inputOptions,
  filter: filterOptions,
  output: outputOptions,
};

/** Network keys, for plugins that have none: Fluent Bit takes them everywhere. */
const unusedNetwork: OptionFields = Object.fromEntries(
  ['host', 'port', 'ipv6', ...Object.keys(tlsOptions), ...Object.keys(netOptions)].map((key) => [
    key,
    ignored(NO_NETWORK),
  ]),
);

const unusedListener: OptionFields = Object.fromEntries(
  ['listen', 'net.share_port', 'net.backlog', 'net.accept_timeout', 'net.accept_timeout_log_error'].map(
    (key) => [key, ignored(NO_NETWORK)],
  ),
);

/** All keys of a plugin's instance; what the plugin declares itself is its own. */
export function optionsOf(kind: PipelineKind, own: OptionFields): OptionFields {
  const network =
    kind === 'input' ? { ...unusedNetwork, ...unusedListener } : kind === 'output' ? unusedNetwork : {};
  return { ...network, ...sharedOptions[kind], ...own };
}

/** Keys with maps and lists inside, read by their own modules. */
export const STRUCTURED: Readonly<Record<PipelineKind, readonly string[]>> = {
  input: ['name', 'processors', 'routes'],
  filter: ['name'],
  output: ['name', 'processors'],
};
