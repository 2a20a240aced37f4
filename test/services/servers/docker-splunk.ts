/** Docker's log driver for Splunk, built of Docker's own module around a loop over standard input. */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { runWithGo } from '../support/tools.ts';

const HERE = join(import.meta.dirname, 'docker-splunk');
const FILES = ['go.mod', 'main.go'];

export const dockerSplunk: Service = {
  name: 'docker-splunk',
  version: '28.5.2',
  recipe: FILES.map((name) => readFileSync(join(HERE, name), 'utf8')).join('\n'),
  async install(folder) {
    const build = join(folder, 'build');
    mkdirSync(build);
    for (const name of FILES) copyFileSync(join(HERE, name), join(build, name));
    await runWithGo('go', ['build', '-o', join(folder, 'driver'), '.'], build);
  },
};

export interface DockerDriver {
  /** A container writes a line. */
  write(line: string): void;
  /** The container ends: sends what is left. Rejects with what the driver said when it failed. */
  end(): Promise<void>;
  kill(): void;
}

/** Starts the driver. What it cannot send at once it keeps, and tries again every half second. */
export function startDockerDriver(url: string, token: string): DockerDriver {
  const child = spawn(join(installed(dockerSplunk), 'driver'), [url, token], {
    env: { ...process.env, SPLUNK_LOGGING_DRIVER_POST_MESSAGES_FREQUENCY: '500ms' },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`The driver ended with ${code}:\n${said.slice(-3000)}`));
    });
  });
  ended.catch(() => {});
  // One that has ended says why by `end`.
  child.stdin.on('error', () => {});
  return {
    write: (line) => void child.stdin.write(`${line}\n`),
    end() {
      child.stdin.end();
      return ended;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
