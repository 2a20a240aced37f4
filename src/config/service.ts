/** The `service` sections of all files → the service's options. */
import { isIP } from 'node:net';
import type { ServiceOptions } from './definition.ts';
import type { Section } from './documents.ts';
import type { OptionValues } from './options.ts';
import type { Problems } from './problem.ts';
import { readOptions } from './read-options.ts';
import type { Written } from './read-options.ts';
import { NO_RING, serviceOptions } from './service-options.ts';
import type { MapEntry, MapNode } from './tree.ts';
import { describeNode } from './tree.ts';

/** Below it a single batch can fill the memory. Bytes. */
const SMALL_MEMORY = 2_000_000;

/** Fewer bytes are not worth a file. */
const SMALL_LETTERS = 100_000;

/** A loop that stands still for less does so for many a reason: a collection of garbage, a busy machine. Seconds. */
const SHORT_STALL = 3;

export interface Service {
  options: ServiceOptions;
  /** `parsers_file` as written. */
  parsersFiles: readonly Written[];
  /** Place of `http_port`, if it is written. */
  httpPort: Written | undefined;
}

type Values = OptionValues<typeof serviceOptions>;

/** Nearer files win over those that they include; two of the same distance should not contradict each other. */
function mergeSections(
  sections: readonly Section[],
  problems: Problems,
): { node: MapNode; path: string } | undefined {
  const entries = new Map<string, { entry: MapEntry; depth: number }>();
  let merged: { node: MapNode; path: string } | undefined;
  for (const { node, path, depth } of sections) {
    if (node.kind !== 'map') {
      if (node.kind === 'scalar' && node.empty) continue;
      problems.report(
        node.place,
        path,
        `service is a map (key: value), and this is ${describeNode(node)}${node.kind === 'scalar' ? ': a colon, or the space behind it, is missing' : ''}`,
      );
      continue;
    }
    merged ??= { node: { ...node, entries: [] }, path };
    const own = new Set<string>();
    for (const entry of node.entries) {
      const key = entry.key.toLowerCase();
      if (key === 'parsers_file') {
        // All of them count, wherever they stand.
        entries.set(`${key} ${entries.size}`, { entry, depth });
        continue;
      }
      const other = entries.get(key);
      if (own.has(key)) {
        problems.report(entry.place, `${path}.${entry.key}`, 'the key is there twice: remove one of them');
      } else if (other === undefined || depth <= other.depth) {
        if (other?.depth === depth) {
          const { file, line } = other.entry.place.source.position(other.entry.place.offset);
          problems.warn(
            entry.place,
            `${path}.${entry.key}`,
            `is set in ${file}:${line} already: this value counts`,
          );
        }
        entries.set(key, { entry, depth });
      }
      own.add(key);
    }
  }
  if (merged !== undefined) merged.node.entries = [...entries.values()].map(({ entry }) => entry);
  return merged;
}

export function readService(sections: readonly Section[], problems: Problems): Service {
  const merged = mergeSections(sections, problems);
  const { values, written } =
    merged === undefined
      ? { values: defaults(), written: [] }
      : readOptions(merged, serviceOptions, {
          problems,
          owner: 'service',
        });
  const options = { ...defaults(), ...values } as Values;
  const find = (key: string): Written | undefined => written.find((one) => one.key === key);
  checkService(options, find, problems);
  return {
    options: {
      flush: options.flush,
      grace: options.grace,
      logLevel: options.log_level,
      logFile: options.log_file,
      httpServer: options.http_server,
      httpListen: options.http_listen,
      httpPort: options.http_port,
      httpToken: options['http_server.token'],
      healthCheck: options.health_check,
      hcErrorsCount: options.hc_errors_count,
      hcRetryFailureCount: options.hc_retry_failure_count,
      hcPeriod: options.hc_period,
      hotReload: options.hot_reload,
      hotReloadWatch: options['hot_reload.watch'],
      watchdogTimeout: options['watchdog.timeout'],
      schedulerBase: options['scheduler.base'],
      schedulerCap: options['scheduler.cap'],
      statePath: options.state_path,
      memoryLimit: options.memory_limit,
      storage: {
        path: options['storage.path'],
        filesystem: options['storage.inherit'] && options['storage.type'] === 'filesystem',
        whenFull: options['storage.when_full'],
        sync: options['storage.sync'],
        checksum: options['storage.checksum'],
        maxChunksUp: options['storage.max_chunks_up'],
        backlogMemory: options['storage.backlog.mem_limit'],
        overflow: options['storage.overflow'] === 'disk',
        overflowLimit: options['storage.overflow.limit'],
        minFree: options['storage.overflow.min_free'],
      },
      deadLettersLimit: options['dead_letters.limit'],
      deadLettersMaxAge: options['dead_letters.max_age'],
    },
    parsersFiles: written.filter(({ key }) => key === 'parsers_file'),
    httpPort: find('http_port'),
  };
}

function defaults(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(serviceOptions).map(([key, { spec }]) => [key, spec.defaultValue]),
  );
}

function checkService(options: Values, find: (key: string) => Written | undefined, problems: Problems): void {
  const say = (key: string, message: string, level: 'error' | 'warning' = 'error'): void => {
    const written = find(key);
    problems.report(written?.node.place, written?.path ?? `service.${key}`, message, { level });
  };
  if (options.flush <= 0) say('flush', 'the time between flushes must be more than 0, such as 1 or 200ms');
  if (options.daemon)
    say(
      'daemon',
      'Tailrace does not go into the background by itself: let the init system do that, and remove the line',
    );
  if (options.plugins_file !== undefined)
    say('plugins_file', "Fluent Bit's plugins are C libraries that Tailrace cannot load: remove the line");
  if (options.streams_file !== undefined)
    say('streams_file', 'Tailrace has no stream processor yet: remove the line');
  if (options['storage.type'] === 'memrb') say('storage.type', NO_RING);
  if (options['security.fips_mode'])
    say(
      'security.fips_mode',
      'Tailrace cannot switch FIPS on: run it with a Node.js that has it (--enable-fips), and remove the line',
    );
  if (options['dns.prefer_ipv4'])
    say('dns.prefer_ipv4', 'Tailrace has this per output: write net.dns.prefer_ipv4 there');
  if (options['dns.prefer_ipv6'])
    say('dns.prefer_ipv6', 'Tailrace has this per output: write net.dns.prefer_ipv6 there');
  if (options['hot_reload.watch'] > 0 && !options.hot_reload) {
    say(
      'hot_reload.watch',
      'nothing is reloaded with hot_reload: off, so nobody need look: remove one of the two lines',
    );
  }
  if (options['scheduler.cap'] < options['scheduler.base']) {
    say(
      find('scheduler.cap') === undefined ? 'scheduler.base' : 'scheduler.cap',
      `the longest wait before a retry (scheduler.cap, ${options['scheduler.cap']} s) is shorter than the shortest (scheduler.base, ${options['scheduler.base']} s)`,
    );
  }
  const standing = options['watchdog.timeout'];
  if (standing !== undefined && standing > 0 && standing < SHORT_STALL) {
    say(
      'watchdog.timeout',
      `the process would be ended over a short hiccup: write at least ${SHORT_STALL}s, or off`,
    );
  }
  if (options['dead_letters.limit'] < SMALL_LETTERS)
    say('dead_letters.limit', 'so few bytes keep nothing that is of use: write at least 100k');
  if (options.memory_limit === 0)
    say('memory_limit', 'without memory nothing can be read: write a size, such as 32M');
  else if (options.memory_limit < SMALL_MEMORY)
    say(
      'memory_limit',
      'one batch takes up to 2 MB: with so little memory inputs wait for one another all the time',
      'warning',
    );
  if (
    options.http_server &&
    !isLoopback(options.http_listen) &&
    options['http_server.token'] === undefined &&
    find('http_listen') !== undefined
  ) {
    say(
      'http_listen',
      'the HTTP server can be reached from other machines and has no token: metrics are open to all, and what changes the agent is refused; set http_server.token',
      'warning',
    );
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
