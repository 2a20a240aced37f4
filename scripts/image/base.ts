/**
 * What stands in for the base image, where no container engine is: a folder with the few Debian packages that a slim image has and our steps
 * use, the Node.js that the project develops with, and this machine's npm.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Service } from '../../test/services/support/service.ts';
import { MissingTool } from '../../test/services/support/service.ts';
import { run, unpackDebian } from '../../test/services/support/tools.ts';

const PACKAGES =
  'base-files base-passwd libc6 libgcc-s1 libstdc++6 libatomic1 coreutils libacl1 libattr1 libgmp10 libselinux1 libpcre2-8-0 dash'.split(
    ' ',
  );

export const imageBase: Service = {
  name: 'image-base',
  version: 'debian',
  recipe: [...PACKAGES, 'busybox-static', 'devices', '1'].join(' '),
  async install(folder) {
    const root = join(folder, 'root');
    mkdirSync(root);
    await unpackDebian(root, PACKAGES);
    await run('/bin/sh', ['-c', 'rm *.deb'], { cwd: root });
    copyFileSync(join(root, 'usr/share/base-passwd/passwd.master'), join(root, 'etc/passwd'));
    copyFileSync(join(root, 'usr/share/base-passwd/group.master'), join(root, 'etc/group'));
    for (const [name, minor] of Object.entries({ null: 3, zero: 5, random: 8, urandom: 9 }))
      await run('mknod', ['-m', '666', join(root, 'dev', name), 'c', '1', String(minor)]);
    const tools = join(folder, 'tools');
    mkdirSync(tools);
    await unpackDebian(tools, ['busybox-static']);
  },
};

/** Where `busybox` lies in the folder of {@link imageBase}: outside of the tree, for what an engine would do from outside. */
export const BUSYBOX = 'tools/bin/busybox';

/** Makes `tree` what the base image would be: FROM. */
export function layBase(folder: string, tree: string): void {
  // cp, for it keeps devices and owners.
  const { status, stderr } = spawnSync('cp', ['-a', join(folder, 'root'), tree], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Copying the base tree: ${stderr}`);
  const local = join(tree, 'usr/local');
  mkdirSync(join(local, 'bin'), { recursive: true });
  mkdirSync(join(local, 'lib/node_modules'), { recursive: true });
  const node = join(local, 'bin/node');
  copyFileSync(realpathSync(process.execPath), node);
  chmodSync(node, 0o755);
  cpSync(npmFolder(), join(local, 'lib/node_modules/npm'), { recursive: true, verbatimSymlinks: true });
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
}

/** The folder of this machine's npm. */
function npmFolder(): string {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const npm = join(directory, 'npm');
    if (existsSync(npm)) return dirname(dirname(realpathSync(npm)));
  }
  throw new MissingTool('npm is not on the PATH.');
}

/** What a build gets from outside, as an engine hands it in: names and servers of this machine, its certificates, npm's settings. */
export function lendNetwork(tree: string): { env: Record<string, string>; takeBack: () => void } {
  const lent = new Set<string>();
  const lend = (file: string): void => {
    if (!existsSync(file)) return;
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    copyFileSync(file, join(tree, file));
    lent.add(join(tree, file));
  };
  for (const file of ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf']) lend(file);
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (/^(https?_proxy|no_proxy|npm_config_(registry|cafile)|NODE_EXTRA_CA_CERTS)$/i.test(name) && value)
      env[name] = value;
  const { stdout } = spawnSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' });
  env['npm_config_registry'] ??= stdout.trim();
  for (const name of ['NODE_EXTRA_CA_CERTS', 'npm_config_cafile']) if (env[name]) lend(env[name]);
  return {
    env,
    takeBack() {
      for (const file of lent) rmSync(file);
    },
  };
}
