/** The OpenTelemetry Collector, built by its own builder: OTLP and Fluent forward in, a file or OTLP/HTTP out. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { goInstall, runWithGo } from '../support/tools.ts';

const HERE = join(import.meta.dirname, 'otelcol');
const builder = readFileSync(join(HERE, 'builder.yaml'), 'utf8');
const VERSION = '0.161.0';
const BUILDER = `go.opentelemetry.io/collector/cmd/builder@v${VERSION}`;

export const otelcol: Service = {
  name: 'otelcol',
  version: VERSION,
  recipe: `${BUILDER}\n${builder}`,
  async install(folder) {
    await goInstall(folder, BUILDER);
    const config = join(folder, 'builder.yaml');
    writeFileSync(config, builder.replace('OUTPUT_DIR', join(folder, 'collector')));
    await runWithGo(join(folder, 'builder'), [`--config=${config}`], folder);
  },
};

export interface CollectorPorts {
  http: number;
  grpc: number;
  /** Fluent's forward protocol. */
  forward: number;
}

export interface Collector extends CollectorPorts {
  process: ServerProcess;
  /** What its file exporter wrote: a line per request, OTLP/JSON. */
  file: string;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** The configuration of {@link startCollector} unless it is given one: all receivers, into the file. */
export const COLLECTOR_CONFIG = readFileSync(join(HERE, 'config.yaml'), 'utf8');

/**
 * Starts a Collector on free ports of 127.0.0.1. In `config` the words HTTP, GRPC and FORWARD stand for the ports of its receivers, FILE
 * for the path of its file; with `only: 'http'` it is ready when that port takes connections, else when all three do.
 */
export async function startCollector({
  config = COLLECTOR_CONFIG,
  only,
}: { config?: string; only?: keyof CollectorPorts } = {}): Promise<Collector> {
  const folder = installed(otelcol);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-otelcol-'));
  const ports = { http: await freePort(), grpc: await freePort(), forward: await freePort() };
  const file = join(data, 'logs.json');
  const configFile = join(data, 'config.yaml');
  writeFileSync(
    configFile,
    config
      .replaceAll(/\bHTTP\b/g, String(ports.http))
      .replaceAll(/\bGRPC\b/g, String(ports.grpc))
      .replaceAll(/\bFORWARD\b/g, String(ports.forward))
      .replaceAll(/\bFILE\b/g, file),
  );
  const wanted = only === undefined ? Object.values(ports) : [ports[only]];
  const process = await new ServerProcess({
    command: join(folder, 'collector', 'otelcol-test'),
    args: [`--config=${configFile}`],
    cwd: data,
    ready: async () => (await Promise.all(wanted.map(takesConnections))).every(Boolean),
  }).start();
  return {
    ...ports,
    process,
    file,
    async close() {
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
