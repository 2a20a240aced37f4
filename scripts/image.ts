/**
 * Proves the Dockerfile without a container engine: `npm run image:check`. Lints it, carries out its steps in clean directory trees
 * (scripts/image/build.ts), starts what came out as an unprivileged user on a read-only tree, and looks whether it does what an agent does.
 *
 * Needs root, for chroot and namespaces. Prints what was checked, and how large the result is.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureInstalled, folderOf } from '../test/services/support/service.ts';
import { BUSYBOX, imageBase } from './image/base.ts';
import { buildImage } from './image/build.ts';
import type { Image } from './image/build.ts';
import { Container } from './image/container.ts';
import type { ContainerOptions } from './image/container.ts';
import { copyContext } from './image/context.ts';
import { readDockerfile } from './image/dockerfile.ts';
import { hadolint, lint } from './image/hadolint.ts';

const ROOT = join(import.meta.dirname, '..');
const AGENT = '/opt/tailrace';
const USER = 65_532;

/** All modules that the compiled agent names, imported for real: pruning must not have taken one away. */
const IMPORT_ALL = `
  const { readdirSync, readFileSync } = require('node:fs');
  const names = new Set();
  for (const entry of readdirSync('${AGENT}/dist', { recursive: true })) {
    if (!entry.endsWith('.js')) continue;
    const text = readFileSync('${AGENT}/dist/' + entry, 'utf8').replace(/\\/\\*[^]*?\\*\\//g, '');
    for (const [, name] of text.matchAll(/(?:from|import)\\s*\\(?\\s*['"]([a-z@][^'":]*)['"]/g)) names.add(name);
  }
  (async () => {
    for (const name of names) await import(require.resolve(name, { paths: ['${AGENT}/dist'] })).catch((error) => {
      console.error(name + ': ' + error.message);
      process.exitCode = 1;
    });
    console.log(names.size + ' modules');
  })();
`;

const CONFIG = `
service: { flush: 0.1, grace: 3 }
pipeline:
  inputs:
    - { name: tail, path: /var/log/pods/*/*.log, tag: app, read_from_head: on, storage.type: filesystem }
  outputs:
    - { name: stdout, match: app, format: json_lines }
`;

let folder = '';
let done = 0;

function passed(what: string): void {
  done++;
  console.log(`ok ${done} - ${what}`);
}

function bytesBelow(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** What a registry would keep of it. */
function compressed(tree: string, path: string): number {
  const { stdout } = spawnSync('/bin/sh', ['-c', 'tar -C "$0" -cf - "$1" | gzip -c | wc -c', tree, path], {
    encoding: 'utf8',
  });
  return Number(stdout);
}

/** Folders as a node has them: logs that only root and its group may read, a state that the agent's user owns. */
function nodeFolders(owner: number, mode: number): { logs: string; state: string; log: string } {
  const node = mkdtempSync(join(folder, 'node-'));
  // The agent's user has to get through.
  chmodSync(node, 0o755);
  const logs = join(node, 'log');
  const state = join(node, 'state');
  mkdirSync(join(logs, 'pods/default_web'), { recursive: true });
  mkdirSync(state, { mode: 0o700 });
  chownSync(state, owner, owner);
  const log = join(logs, 'pods/default_web/0.log');
  writeFileSync(log, 'one\n');
  chmodSync(log, mode);
  return { logs, state, log };
}

async function withContainer(
  options: ContainerOptions,
  use: (container: Container) => Promise<void>,
): Promise<void> {
  const container = new Container(options);
  try {
    await use(container);
  } finally {
    await container.kill();
  }
}

function checkImage(image: Image): void {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.equal(image.labels['org.opencontainers.image.version'], version, 'the label and package.json');
  assert.match(
    image.user,
    /^[1-9]\d*:[1-9]\d*$/,
    'the user is a number, so that Kubernetes sees that it is not root',
  );
  assert.equal(image.stopSignal, 'SIGTERM');
  assert.deepEqual(image.volumes, ['/var/lib/tailrace']);
  for (const path of ['src', 'plugins', 'test', 'node_modules/typescript', 'node_modules/vitest', '.npmrc'])
    assert.throws(() => statSync(join(image.tree, AGENT, path)), `${path} is in the image`);
  for (const { parentPath, name } of readdirSync(join(image.tree, AGENT), {
    recursive: true,
    withFileTypes: true,
  })) {
    const { uid, mode } = statSync(join(parentPath, name));
    assert.ok(
      uid === 0 && (mode & 0o022) === 0,
      `${join(parentPath, name)} could be changed by others than root`,
    );
  }
  passed(
    'it has labels, a user without privileges, no sources, no tools, and nothing that its user could change',
  );
}

async function main(): Promise<void> {
  assert.equal(process.getuid?.(), 0, 'image:check needs root, for chroot and namespaces');
  for (const service of [imageBase, hadolint]) await ensureInstalled(service);
  const dockerfile = join(ROOT, 'Dockerfile');
  assert.equal(lint(folderOf(hadolint), dockerfile), '');
  passed('hadolint has nothing to say');

  const context = join(folder, 'context');
  copyContext(ROOT, context);
  const base = folderOf(imageBase);
  const image = buildImage(readDockerfile(readFileSync(dockerfile, 'utf8')), { base, context, work: folder });
  passed('all its steps can be carried out');
  checkImage(image);

  const busybox = join(base, BUSYBOX);
  const node = nodeFolders(USER, 0o640);
  const config = join(folder, 'config');
  mkdirSync(config);
  writeFileSync(join(config, 'tailrace.yaml'), CONFIG);
  const mounts = [
    { from: config, to: '/etc/tailrace' },
    { from: node.logs, to: '/var/log' },
    { from: node.state, to: '/var/lib/tailrace', writable: true },
  ];

  await withContainer({ image, busybox, mounts, groups: [0] }, async (container) => {
    await container.until('the first record', () => container.stdout.includes('"log":"one"'));
    assert.match(container.status('Uid'), new RegExp(`^${USER}\\s`));
    assert.equal(container.status('NSpid').split(/\s+/).at(-1), '1', 'the agent is process 1');
    assert.equal(container.status('NoNewPrivs'), '1');
    assert.equal(container.status('CapEff'), '0000000000000000');
    passed(
      'without privileges, as process 1, on a read-only tree, it reads a log of mode 0640 by the group of root',
    );

    const health = await container.exec(image.healthcheck);
    assert.deepEqual(health, { code: 0, output: '' });
    const elsewhere = await container.exec([
      '/usr/bin/env',
      'TAILRACE_HEALTH_URL=http://127.0.0.1:1/health',
      ...image.healthcheck,
    ]);
    assert.equal(elsewhere.code, 1);
    assert.match(elsewhere.output, /127\.0\.0\.1:1\/health: .*ECONNREFUSED/);
    passed('HEALTHCHECK finds it on /health, and says so when it does not');

    const status = await container.exec(['tailrace', 'status']);
    assert.match(status.output, /: ready$/m);
    passed('tailrace status works inside');

    container.signal('SIGTERM');
    const { code } = await container.exited;
    assert.equal(code, 0, container.stderr);
    assert.match(container.stderr, /0 in doubt/);
    passed('it stops on SIGTERM as process 1, with exit code 0 and nothing in doubt');
  });

  appendFileSync(node.log, 'two\n');
  await withContainer({ image, busybox, mounts, groups: [0] }, async (container) => {
    await container.until('the second record', () => container.stdout.includes('"log":"two"'));
    assert.ok(!container.stdout.includes('"log":"one"'));
    passed('another one goes on where it stood');
  });

  const closed = nodeFolders(0, 0o600);
  chownSync(closed.log, 1000, 1000);
  await withContainer(
    {
      image,
      busybox,
      mounts: [
        { from: config, to: '/etc/tailrace' },
        { from: closed.logs, to: '/var/log' },
        { from: closed.state, to: '/var/lib/tailrace', writable: true },
      ],
      capability: 'dac_read_search',
    },
    async (container) => {
      await container.until('the first record', () => container.stdout.includes('"log":"one"'));
      // CAP_DAC_READ_SEARCH and, for chroot alone, CAP_SYS_CHROOT.
      assert.equal(Number.parseInt(container.status('CapEff'), 16), (1 << 2) | (1 << 18));
      passed('with CAP_DAC_READ_SEARCH alone it reads a log that is closed to it');
    },
  );

  await withContainer(
    { image: { ...image, entrypoint: ['node', '-e', IMPORT_ALL] }, busybox, mounts, args: [] },
    async (container) => {
      const { code } = await container.exited;
      assert.equal(code, 0, container.stdout + container.stderr);
      passed(`everything that it imports is there: ${container.stdout.trim()}`);
    },
  );

  const agent = join(image.tree, AGENT);
  console.log(
    `${AGENT}: ${megabytes(bytesBelow(agent))} (node_modules ${megabytes(bytesBelow(join(agent, 'node_modules')))}, dist ${megabytes(
      bytesBelow(join(agent, 'dist')),
    )}), ${megabytes(compressed(image.tree, AGENT.slice(1)))} compressed, on top of the base image`,
  );
}

try {
  folder = mkdtempSync(join(tmpdir(), 'tailrace-image-'));
  chmodSync(folder, 0o755);
  await main();
  console.log(`image: ${done} checks passed`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
