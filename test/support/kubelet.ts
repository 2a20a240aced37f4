/** Lays out container logs as a kubelet and a CRI runtime do: pod directories, links, rotation with gzip, deletion. */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface ContainerOptions {
  namespace: string;
  pod: string;
  /** Of the pod; drawn where it is left out. */
  uid?: string;
  container?: string;
}

/** One container of a pod and its log. */
export class LoggedContainer {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  /** Of the runtime, without scheme. */
  readonly id = randomBytes(32).toString('hex');
  /** In `containers`. */
  readonly link: string;
  /** In `pods`. */
  readonly file: string;
  private readonly directory: string;
  private rotations = 0;
  private rotated: string | undefined;

  constructor(root: string, { namespace, pod, uid = randomUUID(), container = 'main' }: ContainerOptions) {
    this.namespace = namespace;
    this.pod = pod;
    this.uid = uid;
    this.container = container;
    this.directory = join(root, 'pods', `${namespace}_${pod}_${uid}`);
    this.file = join(this.directory, container, '0.log');
    this.link = join(root, 'containers', `${pod}_${namespace}_${container}-${this.id}.log`);
    mkdirSync(join(this.directory, container), { recursive: true });
    writeFileSync(this.file, '');
    symlinkSync(this.file, this.link);
  }

  /** Writes whole lines as a CRI runtime does. */
  write(lines: readonly string[], stream: 'stdout' | 'stderr' = 'stdout', time = new Date()): void {
    const at = time.toISOString().replace('Z', '000000Z');
    appendFileSync(this.file, lines.map((line) => `${at} ${stream} F ${line}\n`).join(''));
  }

  /** Rotates as a kubelet does: the log is renamed and opened anew, the one rotated before is compressed. */
  rotate(): void {
    const before = this.rotated;
    this.rotated = `${this.file}.20261127-${String(200_000 + this.rotations++)}`;
    renameSync(this.file, this.rotated);
    writeFileSync(this.file, '');
    if (before === undefined) return;
    writeFileSync(`${before}.tmp`, gzipSync(readFileSync(before)));
    renameSync(`${before}.tmp`, `${before}.gz`);
    rmSync(before);
  }

  /** Removes link and directory, as the kubelet does once the pod is gone. */
  remove(): void {
    rmSync(this.link);
    rmSync(this.directory, { recursive: true });
  }
}

/** A node's `/var/log`, below a directory. */
export class Kubelet {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
    mkdirSync(join(root, 'containers'), { recursive: true });
    mkdirSync(join(root, 'pods'), { recursive: true });
  }

  start(options: ContainerOptions): LoggedContainer {
    return new LoggedContainer(this.root, options);
  }
}
