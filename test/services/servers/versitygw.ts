/** versitygw: S3 over a folder, built from its module. It keeps its objects across a kill, and checks signatures. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { goInstall } from '../support/tools.ts';

const PROGRAM = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const REGION = 'us-east-1';
const ACCESS_KEY = 'AKIDVERSITY';
const SECRET_KEY = 'versity-secret';

export const versitygw: Service = {
  name: 'versitygw',
  version: '1.8.0',
  recipe: PROGRAM,
  install: (folder) => goInstall(folder, PROGRAM),
};

/** The right credentials, and no others from the machine. */
export const VERSITY_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: ACCESS_KEY,
  AWS_SECRET_ACCESS_KEY: SECRET_KEY,
  AWS_REGION: REGION,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
};

export interface VersityServer {
  url: string;
  port: number;
  process: ServerProcess;
  /** The SDK's client, as a user of the store would have it. */
  client: S3Client;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** Starts it on a free port of 127.0.0.1, with an empty store. */
export async function startVersitygw(): Promise<VersityServer> {
  const folder = installed(versitygw);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-versitygw-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  mkdirSync(join(data, 'store'));
  // Attributes of objects go into files beside them: not every file system has room for them with the objects.
  mkdirSync(join(data, 'attributes'));
  const client = new S3Client({
    endpoint: url,
    region: REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
  });
  const process = await new ServerProcess({
    command: join(folder, 'versitygw'),
    args: `--port 127.0.0.1:${port} --access ${ACCESS_KEY} --secret ${SECRET_KEY} --quiet posix --sidecar`
      .split(' ')
      .concat(join(data, 'attributes'), join(data, 'store')),
    cwd: data,
    ready: async () => (await client.send(new ListBucketsCommand({}))).Buckets !== undefined,
  }).start();
  return {
    url,
    port,
    process,
    client,
    async close() {
      client.destroy();
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
