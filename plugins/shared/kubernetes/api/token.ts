/** The bearer token: from a file, which the kubelet exchanges before it expires, or from a command. Never in a message. */
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { ApiFailure } from './failure.ts';
import type { ApiSettings } from './settings.ts';

/** Time for the command, milliseconds. */
const COMMAND_MS = 10_000;
/** A token has some kilobytes at most. */
const MAX_BYTES = 64 * 1024;

export class TokenSource {
  private readonly settings: Pick<ApiSettings, 'tokenFile' | 'tokenCommand' | 'tokenTtlMs'>;
  private token: string | undefined;
  private readAt = Number.NEGATIVE_INFINITY;
  private stamp = '';
  private running: Promise<string> | undefined;

  constructor(settings: Pick<ApiSettings, 'tokenFile' | 'tokenCommand' | 'tokenTtlMs'>) {
    this.settings = settings;
  }

  /** The token now; undefined when none is to be sent. Throws {@link ApiFailure} `token` when there should be one. */
  async current(): Promise<string | undefined> {
    const { tokenFile, tokenCommand, tokenTtlMs } = this.settings;
    const isOld = performance.now() - this.readAt >= tokenTtlMs;
    if (tokenCommand !== undefined) {
      if (this.token === undefined || isOld) this.token = await this.run(tokenCommand);
    } else if (tokenFile === undefined) {
      return undefined;
    } else {
      this.readFile(tokenFile, isOld);
    }
    return this.token;
  }

  /** It was refused: it is read again with the next request. */
  refused(): void {
    this.readAt = Number.NEGATIVE_INFINITY;
  }

  private readFile(file: string, isOld: boolean): void {
    try {
      const { ino, mtimeMs, size } = statSync(file);
      const stamp = `${ino}:${mtimeMs}:${size}`;
      if (!isOld && stamp === this.stamp) return;
      if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, more than a token`);
      this.token = readFileSync(file, 'utf8').trim();
      this.stamp = stamp;
      this.readAt = performance.now();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const advice =
        code === 'ENOENT' ? '. Is a ServiceAccount mounted (automountServiceAccountToken)?' : '.';
      throw new ApiFailure('token', `Reading kube_token_file ${file}: ${message}${advice}`, { cause: error });
    }
    this.check(`kube_token_file ${file}`);
  }

  /** One at a time, however many ask. */
  private run(command: string): Promise<string> {
    this.running ??= runCommand(command)
      .then((token) => {
        this.token = token;
        this.readAt = performance.now();
        this.check('what kube_token_command printed');
        return token;
      })
      .finally(() => {
        this.running = undefined;
      });
    return this.running;
  }

  /** What cannot stand in a header must not come to the HTTP library, whose message would show it. */
  private check(what: string): void {
    if (this.token !== undefined && /^[\u0021-\u007e]+$/.test(this.token)) return;
    this.token = undefined;
    this.readAt = Number.NEGATIVE_INFINITY;
    throw new ApiFailure('token', `Using ${what}: it is not a token, one line without spaces.`);
  }
}

function runCommand(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: COMMAND_MS, maxBuffer: MAX_BYTES, encoding: 'utf8' } as const;
    const child = execFile('/bin/sh', ['-c', command], limits, (error, stdout) => {
      if (error === null) return resolve(stdout.trim());
      const { code, killed } = error;
      const why = killed ? `no end within ${COMMAND_MS / 1000} s` : `it ended with ${code ?? 'a signal'}`;
      // Neither its message nor what it printed: a part of the token may be in there.
      reject(new ApiFailure('token', `Running kube_token_command: ${why}.`));
    });
    child.stdin?.end();
  });
}
