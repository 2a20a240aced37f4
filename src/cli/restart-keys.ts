/** The keys of `service` that only a restart takes up. */
import type { ServiceOptions } from '../config/definition.ts';

const KEYS: Readonly<Record<string, (service: ServiceOptions) => unknown>> = {
  http_server: ({ httpServer }) => httpServer,
  http_listen: ({ httpListen }) => httpListen,
  http_port: ({ httpPort }) => httpPort,
  log_file: ({ logFile }) => logFile,
  state_path: ({ statePath }) => statePath,
  memory_limit: ({ memoryLimit }) => memoryLimit,
  'watchdog.timeout': ({ watchdogTimeout }) => watchdogTimeout,
  'dead_letters.limit': ({ deadLettersLimit }) => deadLettersLimit,
  'dead_letters.max_age': ({ deadLettersMaxAge }) => deadLettersMaxAge,
  'storage.path': ({ storage }) => storage.path,
  'storage.sync': ({ storage }) => storage.sync,
  'storage.checksum': ({ storage }) => storage.checksum,
};

/** Which of them differ. */
export function restartKeys(before: ServiceOptions, after: ServiceOptions): string[] {
  return Object.keys(KEYS).filter((key) => KEYS[key]?.(before) !== KEYS[key]?.(after));
}
