/** Grafana Loki, built from its module: one process, everything in a folder of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answers, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { goBuild } from '../support/tools.ts';

const HERE = join(import.meta.dirname, 'loki');
const module = readFileSync(join(HERE, 'go.mod'), 'utf8');

export const loki: Service = {
  name: 'loki',
  version: '3.7.8',
  recipe: module,
  install: (folder) =>
    goBuild(folder, { module, program: 'github.com/grafana/loki/v3/cmd/loki', name: 'loki' }),
};

export interface LokiServer {
  url: string;
  port: number;
  process: ServerProcess;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** Starts Loki on a free port of 127.0.0.1; `flags` are further ones of its command line (limits, say). */
export async function startLoki(flags: readonly string[] = []): Promise<LokiServer> {
  const folder = installed(loki);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-loki-'));
  const port = await freePort();
  const grpc = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const config = join(data, 'loki.yaml');
  writeFileSync(
    config,
    readFileSync(join(HERE, 'loki.yaml'), 'utf8')
      .replace('PORT', String(port))
      .replace('GRPC', String(grpc))
      .replaceAll('DATA', data),
  );
  const process = await new ServerProcess({
    command: join(folder, 'loki'),
    args: [`-config.file=${config}`, ...flags],
    cwd: data,
    ready: () => answers(`${url}/ready`),
  }).start();
  return {
    url,
    port,
    process,
    async close() {
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
