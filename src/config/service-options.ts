/** The keys of the `service` section: Fluent Bit's and our own. */
import {
  boolean,
  enumOf,
  ignored,
  integer,
  many,
  path,
  secret,
  share,
  size,
  string,
  time,
  timeOrOff,
} from './options.ts';

export const LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const OWN_FORMAT = 'the disk buffer has a format of its own';
const DEAD_LETTERS = 'rejected records are always kept, as dead letters: see dead_letters.limit';
const NO_COROUTINES = "it is for the threads and coroutines of Fluent Bit's engine";
const SYSTEM_RESOLVER = "names are resolved by the operating system's resolver";
const NO_ADAPTIVE_FLUSH = 'Tailrace does not adapt the time between flushes';

/** Said of `memrb`, here and at an input. */
export const NO_RING =
  'Tailrace does not have the memrb buffer, which drops the oldest records when it is full: write memory, which makes the input wait, or filesystem';

export const serviceOptions = {
  flush: time().default(1).describe('Time between flushes of what has gathered.'),
  grace: time().default(5).describe('Time that a stop may take.'),
  log_level: enumOf(...LEVELS)
    .default('info')
    .describe("What the agent's own log says."),
  log_file: path().optional().describe("File of the agent's own log; without it the terminal."),
  state_path: string()
    .optional()
    .describe('Directory for positions and whatever else must survive a restart, or off.'),
  memory_limit: size().default('16M').describe('Upper bound of all memory buffers together.'),
  parsers_file: many()
    .optional()
    .describe('Files with parsers, YAML or classic format, relative to this file.'),

  http_server: boolean().default(false).describe('Serves metrics, health and the API.'),
  http_listen: string().default('127.0.0.1').describe('Address of the HTTP server.'),
  http_port: integer({ min: 0, max: 65_535 })
    .default(2020)
    .describe('Port of the HTTP server; 0: any free one.'),
  'http_server.token': secret()
    .alias('http_token')
    .optional()
    .describe('Bearer token for what changes the agent or shows records.'),
  health_check: boolean().default(false).describe('Health counts errors and failed retries.'),
  hc_errors_count: integer({ min: 0 }).default(5).describe('Errors within hc_period that are too many.'),
  hc_retry_failure_count: integer({ min: 0 })
    .default(5)
    .describe('Failed retries within hc_period that are too many.'),
  hc_period: time().default(60).describe('Period of the health check.'),
  hot_reload: boolean()
    .default(true)
    .describe('Reloading by SIGHUP and API; in Fluent Bit it is off by default.'),
  'hot_reload.watch': timeOrOff()
    .default('off')
    .describe(
      'Time between two looks at the files of the configuration, such as 5s: what has changed and stays so until the next look is reloaded, as by SIGHUP. 0 or off: nobody looks.',
    ),

  'watchdog.timeout': timeOrOff()
    .optional()
    .describe(
      'Time that the main loop may stand still before the process is ended, so that its supervisor starts it again; 0 or off: never. Without it 60 s with http_server on, else no watchdog runs.',
    ),

  'scheduler.base': time().default(1).describe('Shortest wait before a retry.'),
  'scheduler.cap': time().default(30).describe('Longest wait before a retry.'),

  'dead_letters.limit': size()
    .default('64M')
    .describe('Upper bound of the dead letters of each output on disk; the oldest go.'),
  'dead_letters.max_age': timeOrOff()
    .default('30d')
    .describe('Age after which dead letters go; 0 or off: never.'),

  daemon: boolean().default(false).describe('Only off: the init system puts processes into the background.'),
  plugins_file: string().optional().describe("Not there: Fluent Bit's plugins are C libraries."),
  streams_file: string().optional().describe('Not there: stream processing.'),
  'storage.path': path()
    .optional()
    .describe('Directory of the disk buffer; without it a folder below the state path.'),
  'storage.type': enumOf('memory', 'filesystem', 'memrb')
    .optional()
    .describe(
      'Buffer of inputs that take it from here (storage.inherit) or say nothing themselves: memory or filesystem.',
    ),
  'storage.inherit': boolean()
    .default(true)
    .describe('Inputs without a storage.type take it from here; in Fluent Bit it is off by default.'),
  'storage.sync': enumOf('normal', 'full')
    .default('normal')
    .describe(
      'normal: what was written within a second is synced together, at once if an answer waits for it; full: every write is.',
    ),
  'storage.checksum': boolean()
    .default(true)
    .describe(
      'Records in the disk buffer have checksums; their frames always have. In Fluent Bit it is off by default.',
    ),
  'storage.max_chunks_up': integer({ min: 1 })
    .default(128)
    .describe('Chunks of the disk buffer that are in memory at once, beside what is about to be sent.'),
  'storage.backlog.mem_limit': size()
    .default('5M')
    .describe('Memory for chunks that are read back from disk; at most a quarter of memory_limit.'),
  'storage.overflow': enumOf('disk', 'block')
    .default('disk')
    .describe(
      'What memory has no room for because an output is slow or dead goes to disk, or makes the inputs wait.',
    ),
  'storage.overflow.limit': size()
    .default('1G')
    .describe('Upper bound of what goes to disk for want of memory.'),
  'storage.overflow.min_free': share()
    .default('10%')
    .describe('What stays free on the volume of the disk buffer: a size, or a share such as 10%.'),
  'storage.when_full': enumOf('block', 'drop_oldest')
    .default('block')
    .describe(
      'When the disk buffer is full: inputs wait, or the oldest records of the output that has most go, counted.',
    ),
  'storage.keep.rejected': ignored(DEAD_LETTERS),
  'security.fips_mode': boolean()
    .default(false)
    .describe('Only off: FIPS is a matter of the OpenSSL that Node.js uses.'),
  multiline_buffer_limit: size().default('2M').describe('Largest multiline record.'),
  'dns.prefer_ipv4': boolean().default(false).describe('Only off: set net.dns.prefer_ipv4 on the output.'),
  'dns.prefer_ipv6': boolean().default(false).describe('Only off: set net.dns.prefer_ipv6 on the output.'),

  'hot_reload.ensure_thread_safety': ignored('a reload always waits for running work'),
  'hot_reload.timeout': ignored('a reload that cannot be done leaves the old pipeline running'),
  coro_stack_size: ignored(NO_COROUTINES),
  'json.convert_nan_to_null': ignored('NaN is always written as null, for JSON has none'),
  'json.escape_unicode': ignored('text is written as UTF-8, which says the same'),
  'sp.convert_from_str_to_num': ignored('there is no stream processor'),
  'dns.mode': ignored(SYSTEM_RESOLVER),
  'dns.resolver': ignored(SYSTEM_RESOLVER),
  enable_chunk_trace: ignored('Tailrace has no chunk traces yet'),
  'windows.maxstdio': ignored('Node.js needs no such limit'),
  'flush.adaptive': ignored(NO_ADAPTIVE_FLUSH),
  'flush.adaptive.min_interval': ignored(NO_ADAPTIVE_FLUSH),
  'flush.adaptive.max_interval': ignored(NO_ADAPTIVE_FLUSH),
  'flush.adaptive.low_pressure': ignored(NO_ADAPTIVE_FLUSH),
  'flush.adaptive.medium_pressure': ignored(NO_ADAPTIVE_FLUSH),
  'flush.adaptive.high_pressure': ignored(NO_ADAPTIVE_FLUSH),
  'flush.adaptive.up_steps': ignored(NO_ADAPTIVE_FLUSH),
  'flush.adaptive.down_steps': ignored(NO_ADAPTIVE_FLUSH),
  telemetry: ignored('records are not counted per tag'),
  'storage.backlog.flush_on_shutdown': ignored('a stop sends what it can within grace, the backlog included'),
  'storage.metrics': ignored('the metrics of the disk buffer are always there'),
  'storage.delete_irrecoverable_chunks': ignored('what is damaged is skipped, and a copy kept aside'),
  'storage.trim_files': ignored(OWN_FORMAT),
  'storage.rejected.path': ignored(DEAD_LETTERS),
  'storage.rejected.limit': ignored(DEAD_LETTERS),
};
