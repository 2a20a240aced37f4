/**
 * moto: S3 and CloudWatch Logs (and the rest of AWS) in one process, by pip in a Python environment of its own.
 *
 * It keeps everything in memory: cut it off with `CutProxy` instead of killing it. It takes any credentials and does not enforce
 * the limits of sizes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answers, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { pythonEnvironment } from '../support/tools.ts';

const PACKAGES = ['moto[server]==5.2.5'];

export const moto: Service = {
  name: 'moto',
  version: '5.2.5',
  recipe: PACKAGES.join('\n'),
  install: (folder) => pythonEnvironment(folder, PACKAGES),
};

/** Credentials that moto takes as well as any others, and no others from the machine. */
export const MOTO_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'AKIDMOTO',
  AWS_SECRET_ACCESS_KEY: 'moto-secret',
  AWS_REGION: 'eu-central-1',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
};

export interface MotoServer {
  url: string;
  port: number;
  process: ServerProcess;
  /** Ends it; what it kept is gone. */
  close(): Promise<void>;
}

/** Starts moto on a free port of 127.0.0.1. */
export async function startMoto(): Promise<MotoServer> {
  const folder = installed(moto);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-moto-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const process = await new ServerProcess({
    command: join(folder, 'bin/python'),
    args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
    cwd: data,
    ready: () => answers(`${url}/moto-api/data.json`),
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
