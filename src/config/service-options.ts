/** The keys of the `service` section: Fluent Bit's and our own. */
import { boolean, enumOf, ignored, integer, many, path, secret, size, string, time } from './options.ts';

export const LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const NO_DISK_BUFFER = 'no input uses a disk buffer, and Tailrace has none yet';
const NO_COROUTINES = "it is for the threads and coroutines of Fluent Bit's engine";
const SYSTEM_RESOLVER = "names are resolved by the operating system's resolver";
const NO_ADAPTIVE_FLUSH = 'Tailrace does not adapt the time between flushes';

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

  'scheduler.base': time().default(1).describe('Shortest wait before a retry.'),
  'scheduler.cap': time().default(30).describe('Longest wait before a retry.'),

  daemon: boolean().default(false).describe('Only off: the init system puts processes into the background.'),
  plugins_file: string().optional().describe("Not there: Fluent Bit's plugins are C libraries."),
  streams_file: string().optional().describe('Not there: stream processing.'),
  'storage.type': enumOf('memory', 'filesystem', 'memrb')
    .optional()
    .describe('Buffer of inputs with storage.inherit; only memory yet.'),
  'storage.inherit': boolean().default(false).describe('Inputs take storage.type from here.'),
  'storage.keep.rejected': boolean().default(false).describe('Only off yet: keeping rejected records.'),
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
  'storage.path': ignored(NO_DISK_BUFFER),
  'storage.sync': ignored(NO_DISK_BUFFER),
  'storage.checksum': ignored(NO_DISK_BUFFER),
  'storage.max_chunks_up': ignored(NO_DISK_BUFFER),
  'storage.backlog.mem_limit': ignored(NO_DISK_BUFFER),
  'storage.backlog.flush_on_shutdown': ignored(NO_DISK_BUFFER),
  'storage.metrics': ignored(NO_DISK_BUFFER),
  'storage.delete_irrecoverable_chunks': ignored(NO_DISK_BUFFER),
  'storage.trim_files': ignored(NO_DISK_BUFFER),
  'storage.rejected.path': ignored(NO_DISK_BUFFER),
  'storage.rejected.limit': ignored(NO_DISK_BUFFER),
};
