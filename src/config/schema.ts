/**
 * The options façade: how a plugin declares its options. From one declaration come the TypeScript type, the check, the error
 * message, the JSON Schema and the reference page. Plugins get it through `src/plugin.ts`.
 *
 * No schema library behind it: every option is a text in one of Fluent Bit's own units, the messages are ours, and zod alone
 * would cost 20 MB of resident memory and 50 ms of start.
 */
export {
  boolean,
  csv,
  enumOf,
  ignored,
  integer,
  kv,
  many,
  number,
  path,
  prefix,
  secret,
  secretKv,
  size,
  string,
  time,
} from './options.ts';
export type {
  JsonSchema,
  Option,
  OptionFields,
  OptionReading,
  OptionSpec,
  OptionValues,
  ValueProblem,
} from './options.ts';
export { netOptions, tlsOptions } from './net-options.ts';
export { Secret } from './secret.ts';
