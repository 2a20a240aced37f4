/** A checked configuration: what loading yields when there was no error, and all that the pipeline is built from. */
import type {
  FilterDefinition,
  InputDefinition,
  OutputDefinition,
  ParserDefinition,
  PluginContext,
} from '../plugin.ts';
import type { Secret } from './secret.ts';

/** How much the agent says; each level includes the ones before it. */
export type LogLevel = 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** A place in a configuration file; line and column from 1. */
export interface Position {
  file: string;
  line: number;
  column: number;
}

interface Instance<D> {
  definition: D;
  /** Values of the definition's own options, checked, defaults filled in. */
  options: Record<string, unknown>;
  entries: PluginContext['entries'];
  /** Position of the plugin's entry. */
  position: Position;
  /** Equal for two instances exactly when everything written about them is equal: reload keeps unchanged ones running. */
  fingerprint: string;
}

interface NamedInstance<D> extends Instance<D> {
  /** Its alias, else `<plugin>.<n>`, n counting the instances of its kind from 0 in file order, as in Fluent Bit. */
  name: string;
  alias: string | undefined;
  /** Name in the state (DELIVERY.md, rule 7): the alias, else the plugin's name, with a hash of its target options if there are several. */
  stateName: string;
  logLevel: LogLevel | undefined;
  /** Seconds in which an equal log message is said once; 0: always. */
  logSuppressInterval: number;
}

export interface InputInstance extends NamedInstance<InputDefinition> {
  tag: string;
  /** Bytes; 0 for the default. */
  memBufLimit: number;
  /** `storage.type`; undefined: what the service says. */
  storageType: 'memory' | 'filesystem' | undefined;
  /** It waits when as many of its chunks are in memory as may be (`storage.pause_on_chunks_overlimit`). */
  pauseOnChunks: boolean;
}

/** `match` or `match_regex`; the expression wins. */
export interface Match {
  match: string | undefined;
  matchRegex: RegExp | undefined;
}

export interface FilterInstance extends NamedInstance<FilterDefinition>, Match {}

/** Attempts after the first: a number, without end, or none. */
export type RetryLimit = number | 'no_limits' | 'no_retries';

export interface OutputInstance extends NamedInstance<OutputDefinition>, Match {
  retryLimit: RetryLimit;
  /** Seconds after which a record that could not be delivered is not sent again; 0: never. */
  retryMaxAge: number;
  /** As written; undefined for the plugin's default. */
  workers: number | undefined;
  /** Bytes that may wait on disk for it; 0: no limit. */
  diskLimit: number;
  /** `storage.when_full`; undefined: what the service says. */
  whenFull: 'block' | 'drop_oldest' | undefined;
  /** Name of the output that gets what this one's destination will never take. */
  onFailure: string | undefined;
}

export interface ParserInstance extends Instance<ParserDefinition> {
  name: string;
}

export interface StorageOptions {
  /** Directory, undefined for the one below the state path. */
  path: string | undefined;
  /** Inputs that say nothing themselves have the disk buffer. */
  filesystem: boolean;
  whenFull: 'block' | 'drop_oldest';
  sync: 'normal' | 'full';
  checksum: boolean;
  maxChunksUp: number;
  /** Bytes. */
  backlogMemory: number;
  /** What memory has no room for goes to disk. */
  overflow: boolean;
  /** Bytes. */
  overflowLimit: number;
  minFree: { bytes: number } | { share: number };
}

export interface ServiceOptions {
  /** Seconds between flushes. */
  flush: number;
  /** Seconds that a stop may take. */
  grace: number;
  logLevel: LogLevel;
  /** Path, undefined for the terminal. */
  logFile: string | undefined;
  httpServer: boolean;
  httpListen: string;
  httpPort: number;
  httpToken: Secret | undefined;
  healthCheck: boolean;
  hcErrorsCount: number;
  hcRetryFailureCount: number;
  /** Seconds. */
  hcPeriod: number;
  hotReload: boolean;
  /** Seconds between two looks at the files of the configuration; 0: none. */
  hotReloadWatch: number;
  /** Seconds that the main loop may stand still; 0: for ever, undefined: not written. */
  watchdogTimeout: number | undefined;
  /** Seconds. */
  schedulerBase: number;
  /** Seconds. */
  schedulerCap: number;
  /** Directory, `off`, or undefined for the default. */
  statePath: string | undefined;
  /** Bytes of all memory buffers together. */
  memoryLimit: number;
  storage: StorageOptions;
  /** Bytes per output. */
  deadLettersLimit: number;
  /** Seconds; 0 for no bound. */
  deadLettersMaxAge: number;
}

export interface PipelineDefinition {
  /** The file that was named first. */
  file: string;
  /** Every file that was read: a change of any is a change of the configuration. */
  files: readonly string[];
  service: ServiceOptions;
  parsers: readonly ParserInstance[];
  inputs: readonly InputInstance[];
  filters: readonly FilterInstance[];
  outputs: readonly OutputInstance[];
}
