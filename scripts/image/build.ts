/** Carries out the steps of a Dockerfile in directory trees: a copy of the base tree per stage, RUN by chroot. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { layBase, lendNetwork } from './base.ts';
import type { Dockerfile, Instruction } from './dockerfile.ts';
import { execForm, fill, pairs } from './dockerfile.ts';

/** What an engine would start containers from. */
export interface Image {
  tree: string;
  env: Record<string, string>;
  labels: Record<string, string>;
  user: string;
  entrypoint: string[];
  cmd: string[];
  healthcheck: string[];
  volumes: string[];
  stopSignal: string | undefined;
}

/** A shell with mounts and processes of its own, all gone with it. */
const SHELL = ['--mount', '--pid', '--fork', '--kill-child', '/bin/sh', '-c'];

interface Folders {
  /** The installed base tree. */
  base: string;
  context: string;
  /** Gets a tree per stage. */
  work: string;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Builds all stages; answers with the last one. Throws with the output of a step that fails. */
export function buildImage(file: Dockerfile, folders: Folders): Image {
  const built = new Map<string, string>();
  let image: Image | undefined;
  for (const [index, stage] of file.stages.entries()) {
    if (fill(stage.image, file.args) !== file.args.get('NODE_IMAGE'))
      throw new Error(`The stage from ${stage.image} has no stand-in here.`);
    const tree = join(folders.work, stage.name ?? `stage-${index}`);
    layBase(folders.base, tree);
    image = new StageBuild(tree, folders.context, built).build(stage.instructions);
    if (stage.name !== undefined) built.set(stage.name, tree);
  }
  if (image === undefined) throw new Error('The Dockerfile has no stage.');
  return image;
}

class StageBuild {
  private readonly image: Image;
  private readonly context: string;
  private readonly stages: ReadonlyMap<string, string>;
  private readonly variables = new Map<string, string>();
  private directory = '/';

  constructor(tree: string, context: string, stages: ReadonlyMap<string, string>) {
    this.context = context;
    this.stages = stages;
    this.image = {
      tree,
      env: { PATH },
      labels: {},
      user: '0:0',
      entrypoint: [],
      cmd: [],
      healthcheck: [],
      volumes: [],
      stopSignal: undefined,
    };
  }

  build(instructions: readonly Instruction[]): Image {
    const { image } = this;
    for (const each of instructions) this.apply(each);
    return image;
  }

  private apply(step: Instruction): void {
    const { image } = this;
    const { name, text } = step;
    switch (name) {
      case 'ARG': {
        const [key = '', value = ''] = text.split('=');
        this.variables.set(key, value);
        return;
      }
      case 'WORKDIR':
        this.directory = resolve(this.directory, text);
        mkdirSync(this.inTree(this.directory), { recursive: true });
        return;
      case 'COPY':
        return this.copy(step);
      case 'RUN':
        return this.run(step);
      case 'ENV':
        for (const [key, value] of pairs(text, this.variables)) image.env[key] = value;
        return;
      case 'LABEL':
        for (const [key, value] of pairs(text, this.variables)) image.labels[key] = value;
        return;
      case 'USER':
        image.user = text;
        return;
      case 'VOLUME':
        image.volumes.push(text);
        return;
      case 'HEALTHCHECK':
        image.healthcheck = execForm(text.replace(/^CMD\s+/, ''));
        return;
      case 'STOPSIGNAL':
        image.stopSignal = text;
        return;
      case 'ENTRYPOINT':
        image.entrypoint = execForm(text);
        return;
      case 'CMD':
        image.cmd = execForm(text);
        return;
      case 'EXPOSE':
        return;
      default:
        throw new Error(`Dockerfile:${step.line}: ${name} is not carried out here.`);
    }
  }

  private inTree(path: string): string {
    return join(this.image.tree, path);
  }

  /** As an engine: the content of a folder, not the folder; a target that ends in a slash is a folder. */
  private copy({ line, flags, text }: Instruction): void {
    const { from, ...others } = flags;
    if (Object.keys(others).length > 0)
      throw new Error(`Dockerfile:${line}: COPY --${Object.keys(others)[0]}.`);
    const root = from === undefined ? this.context : this.stages.get(from);
    if (root === undefined) throw new Error(`Dockerfile:${line}: there is no stage ${from}.`);
    const paths = text.split(/\s+/);
    const target = paths.pop() ?? '';
    const into = this.inTree(resolve(this.directory, target));
    for (const path of paths) {
      const source = join(root, path);
      if (!existsSync(source))
        throw new Error(
          `Dockerfile:${line}: ${path} is not there${from === undefined ? ', or .dockerignore keeps it out' : ''}.`,
        );
      const isFolder = lstatSync(source).isDirectory();
      const asFolder = isFolder || target.endsWith('/');
      mkdirSync(asFolder ? into : resolve(into, '..'), { recursive: true });
      cpSync(source, isFolder || !asFolder ? into : join(into, basename(path)), {
        recursive: true,
        verbatimSymlinks: true,
      });
    }
  }

  private run({ line, text }: Instruction): void {
    const { tree, env } = this.image;
    const network = lendNetwork(tree);
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      [
        ...SHELL,
        'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "cd $1 && $2"',
        tree,
        this.directory,
        text,
      ],
      { env: { ...env, ...network.env, HOME: '/root' }, encoding: 'utf8', maxBuffer: 1e8 },
    );
    network.takeBack();
    if (status !== 0) throw new Error(`Dockerfile:${line}: RUN ${text}\n${stdout}${stderr}`);
  }
}
