/** Configurations of end-to-end tests: short waits, one tail, http outputs. */

/** Waits are a fiftieth to a hundredth of the defaults. */
export const QUICK: Readonly<Record<string, string | number>> = {
  flush: 0.02,
  grace: 1,
  'scheduler.base': 0.05,
  'scheduler.cap': 0.1,
};

export interface PipelineText {
  /** Keys of `service`; without it {@link QUICK}. */
  service?: Readonly<Record<string, string | number>>;
  plugins?: readonly string[];
  inputs?: readonly string[];
  filters?: readonly string[];
  outputs: readonly string[];
}

/** The keys of a list's item below its first. */
export function item(first: string, keys: readonly string[]): string {
  return [`    - ${first}`, ...keys.map((key) => `      ${key}`)].join('\n');
}

/** Follows `app.log` from its head. */
export function tail(...keys: string[]): string {
  const path = keys.some((key) => key.startsWith('path:')) ? [] : ['path: app.log'];
  return item('name: tail', ['tag: app', 'read_from_head: true', ...path, ...keys]);
}

/** An `http` input on any free port. */
export function listener(...keys: string[]): string {
  return item('name: http', ['alias: in', 'tag: app', 'listen: 127.0.0.1', 'port: 0', ...keys]);
}

/** An `http` output to a sink. */
export function http({ port }: { port: number }, ...keys: string[]): string {
  return item('name: http', ["match: '*'", 'format: json_lines', `port: ${port}`, ...keys]);
}

/** An output of a user's plugin. */
export function own(name: string, ...keys: string[]): string {
  return item(`name: ${name}`, ["match: '*'", ...keys]);
}

export function pipeline({
  service = QUICK,
  plugins = [],
  inputs = [tail()],
  filters = [],
  outputs,
}: PipelineText): string {
  return [
    ...(plugins.length === 0 ? [] : ['plugins:', ...plugins.map((plugin) => `  - ${plugin}`)]),
    'service:',
    ...Object.entries({ http_server: 'on', ...service }).map(([key, value]) => `  ${key}: ${value}`),
    'pipeline:',
    '  inputs:',
    ...inputs,
    ...(filters.length === 0 ? [] : ['  filters:', ...filters]),
    '  outputs:',
    ...outputs,
    '',
  ].join('\n');
}
