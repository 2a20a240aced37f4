/** The tools that servers are installed with: Go, Maven and a JDK, Python, Debian packages. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MissingTool } from './service.ts';

/** Of a failed command's output, characters. */
const SHOWN = 3000;

interface RunOptions {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end; answers with its standard output. Throws with the end of its output when it fails. */
export async function run(
  command: string,
  args: readonly string[],
  { cwd, env }: RunOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    all += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    all += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new MissingTool(`${command} is not on this machine.`) : error);
    });
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${all.slice(-SHOWN)}`));
    });
  });
}

/** The module proxy alone: with its fallback a missing module would become a slow attempt by git. */
function goEnvironment(): Record<string, string> {
  const { stdout, error } = spawnSync('go', ['env', 'GOPROXY'], { encoding: 'utf8' });
  if (error !== undefined) throw new MissingTool('go is not on this machine.');
  return { GOPROXY: stdout.trim().replace(/,direct$/, ''), GOFLAGS: '-mod=mod' };
}

/** Builds a program of a Go module at a version into `folder`. */
export async function goInstall(folder: string, program: string): Promise<void> {
  await run('go', ['install', program], { env: { ...goEnvironment(), GOBIN: folder } });
}

/** Builds a program of a module whose go.mod is given. */
export async function goBuild(
  folder: string,
  { module, program, name }: { module: string; program: string; name: string },
): Promise<void> {
  const build = join(folder, 'build');
  mkdirSync(build);
  writeFileSync(join(build, 'go.mod'), module);
  await run('go', ['build', '-o', join(folder, name), program], { cwd: build, env: goEnvironment() });
}

/** Brings a Go module at a version to this machine: the folder with its files. */
export async function goDownload(module: string): Promise<string> {
  const answer = await run('go', ['mod', 'download', '-json', module], { env: goEnvironment() });
  return (JSON.parse(answer) as { Dir: string }).Dir;
}

/** Runs a Go program that was built before, with the module proxy alone. */
export async function runWithGo(program: string, args: readonly string[], cwd: string): Promise<void> {
  await run(program, args, { cwd, env: goEnvironment() });
}

/** Copies the artifacts that a pom.xml depends on into `folder`. */
export async function mavenCopy(folder: string, pom: string, into: string): Promise<void> {
  writeFileSync(join(folder, 'pom.xml'), pom);
  await run(
    'mvn',
    ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${into}`, '-DincludeScope=runtime'],
    { cwd: folder },
  );
}

const JDKS = '/usr/lib/jvm';

/** The home of an installed JDK of that feature version or newer: the oldest such. */
export function jdk(atLeast: number): string {
  const homes = existsSync(JDKS) ? readdirSync(JDKS) : [];
  const found = homes
    .map((name) => ({
      home: join(JDKS, name),
      version: Number(/(?:openjdk-|temurin-|jdk-)(\d+)/.exec(name)?.[1]),
    }))
    .filter(({ home, version }) => version >= atLeast && existsSync(join(home, 'bin/java')))
    .toSorted((a, b) => a.version - b.version);
  if (found[0] === undefined) throw new MissingTool(`There is no JDK ${atLeast} or newer in ${JDKS}.`);
  return found[0].home;
}

/** A Python environment of its own below `folder`, with these packages. */
export async function pythonEnvironment(folder: string, packages: readonly string[]): Promise<void> {
  await run('python3', ['-m', 'venv', '--copies', folder]);
  await run(join(folder, 'bin/python'), ['-m', 'pip', 'install', '-q', ...packages]);
}

/** Unpacks Debian packages below `folder`, without installing them: no service starts, nothing conflicts. */
export async function unpackDebian(folder: string, packages: readonly string[]): Promise<void> {
  await run('apt-get', ['download', '-qq', ...packages], { cwd: folder });
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.deb')))
    await run('dpkg', ['-x', join(folder, file), folder]);
}
