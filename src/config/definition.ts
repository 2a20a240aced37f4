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
  /** As written; undefined for the plugin's default. */
  workers: number | undefined;
}

export interface ParserInstance extends Instance<ParserDefinition> {
  name: string;
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
  /** Seconds. */
  schedulerBase: number;
  /** Seconds. */
  schedulerCap: number;
  /** Directory, `off`, or undefined for the default. */
  statePath: string | undefined;
  /** Bytes of all memory buffers together. */
  memoryLimit: number;
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
