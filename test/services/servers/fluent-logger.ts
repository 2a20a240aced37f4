/** Two other implementations of the forward protocol: @fluent-org/logger of npm, client and server, and fluent-logger of PyPI, a client. */
import { createRequire } from 'node:module';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { pythonEnvironment, run } from '../support/tools.ts';

const NODE_PACKAGE = '@fluent-org/logger@1.0.10';
const PYTHON_PACKAGE = 'fluent-logger==0.11.1';

export const fluentLoggers: Service = {
  name: 'fluent-loggers',
  version: '1',
  recipe: `${NODE_PACKAGE}\n${PYTHON_PACKAGE}`,
  async install(folder) {
    const node = join(folder, 'node');
    mkdirSync(node);
    await run('npm', [
      'install',
      '--silent',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--prefix',
      node,
      NODE_PACKAGE,
    ]);
    await pythonEnvironment(join(folder, 'python'), [PYTHON_PACKAGE]);
  },
};

export interface NodeClient {
  emit(event: Record<string, unknown>, time: unknown): Promise<void>;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  shutdown(): Promise<void>;
}

export interface NodeServer {
  port: number;
  listen(): Promise<void>;
  close(): Promise<void>;
  on(
    event: 'entry',
    listener: (tag: string, time: { epoch: number; nano: number }, record: Record<string, unknown>) => void,
  ): void;
}

export interface NodeLogger {
  FluentClient: new (tagPrefix: string, options: object) => NodeClient;
  FluentServer: new (options: object) => NodeServer;
  EventTime: new (epoch: number, nano: number) => unknown;
}

/** The library of npm. */
export function nodeLogger(): NodeLogger {
  const require = createRequire(import.meta.url);
  return require(
    join(installed(fluentLoggers), 'node', 'node_modules', '@fluent-org', 'logger'),
  ) as NodeLogger;
}

/** Runs a Python program that has fluent-logger; resolves with what it prints. */
export function runPython(program: string, args: readonly string[]): Promise<string> {
  return run(join(installed(fluentLoggers), 'python', 'bin', 'python'), ['-c', program, ...args]);
}
