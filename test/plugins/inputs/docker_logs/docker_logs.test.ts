/** docker_logs over directories that are laid out as Docker does. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import definition from '../../../../plugins/inputs/docker_logs.ts';
import { compileLabels, configOf, readContainer } from '../../../../plugins/inputs/docker_logs/container.ts';
import { Containers } from '../../../../plugins/inputs/docker_logs/containers.ts';
import { Batch } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { Collector, inputContext } from '../collecting.ts';

const ID = 'a'.repeat(64);
const TIME = '2024-05-07T18:57:50.904275087Z';

function line(text: string, stream = 'stdout'): string {
  return `${JSON.stringify({ log: text, stream, attrs: { env: 'prod' }, time: TIME })}\n`;
}

/** Docker's directory of containers. */
class Docker {
  readonly root: string;

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'tailrace-docker-'));
    onTestFinished(() => rmSync(this.root, { recursive: true, force: true }));
  }

  container(id: string, config: unknown, log = ''): string {
    const directory = join(this.root, id);
    mkdirSync(directory);
    if (config !== undefined)
      writeFileSync(
        join(directory, 'config.v2.json'),
        typeof config === 'string' ? config : JSON.stringify(config),
      );
    const path = join(directory, `${id}-json.log`);
    writeFileSync(path, log);
    return path;
  }

  async start(options: Record<string, string> = {}, tag = 'docker.<name>'): Promise<Collector> {
    const collector = new Collector();
    const values = optionsOf(definition.options, {
      path: join(this.root, '*/*-json.log'),
      read_from_head: 'on',
      ...options,
    });
    const input = await definition.create(values, { ...inputContext(), tag });
    await input.start(collector.emit);
    onTestFinished(async () => {
      await input.stop();
      await input.close?.();
    });
    return collector;
  }
}

const WEB = {
  ID,
  Name: '/web-1',
  Image: 'sha256:abc',
  Config: {
    Image: 'registry.example:5000/team/web:1.2',
    Labels: { 'com.docker.compose.project': 'shop', team: 'blue', secret: 'x' },
  },
};

describe('docker_logs', () => {
  it('joins lines, and says which container they are of', async () => {
    const docker = new Docker();
    docker.container(ID, WEB, `${line('a')}${line('e\n', 'stderr')}${line('b\n')}`);
    const collector = await docker.start({ labels: 'com.docker.compose.*, team' });
    await collector.reached(2);
    const container = {
      id: ID,
      name: 'web-1',
      image: 'registry.example:5000/team/web:1.2',
      image_id: 'sha256:abc',
      labels: { 'com.docker.compose.project': 'shop', team: 'blue' },
    };
    const rest = { attrs: { env: 'prod' }, time: TIME, container };
    expect(
      collector.events.map(({ tag, record, seconds, nanos }) => ({ tag, record, seconds, nanos })),
    ).toEqual(
      [
        { log: 'e\n', stream: 'stderr', ...rest },
        { log: 'ab\n', stream: 'stdout', ...rest },
      ].map((record) => ({ tag: 'docker.web-1', record, seconds: 1715108270, nanos: 904_275_087 })),
    );
  });

  it('goes by the id where nothing else is known, and adds nothing where nothing shall be', async () => {
    const docker = new Docker();
    docker.container(ID, '{"Name":', line('a\n'));
    const collector = await docker.start({ metadata_key: 'off' });
    await collector.reached(1);
    expect(collector.events[0]).toMatchObject({
      tag: `docker.${ID.slice(0, 12)}`,
      record: { log: 'a\n', stream: 'stdout', attrs: { env: 'prod' }, time: TIME },
    });
  });

  it('follows containers that come later, from their first line, under tags of their own', async () => {
    const docker = new Docker();
    const collector = await docker.start({ read_from_head: 'off', labels: 'off' }, '<image>|<id>|<name>');
    docker.container(ID, WEB, line('a\n'));
    await collector.reached(1);
    expect(collector.events[0]?.tag).toBe(`registry.example:5000/team/web:1.2|${ID.slice(0, 12)}|web-1`);
    expect(collector.records).toMatchObject([{ container: { name: 'web-1' } }]);
    expect(collector.records[0]).not.toHaveProperty('container.labels');
  });

  it('joins over a rotation by Docker', async () => {
    const docker = new Docker();
    const path = docker.container(ID, WEB, line('a'));
    const collector = await docker.start();
    renameSync(path, `${path}.1`);
    writeFileSync(path, line('b\n'));
    await collector.reached(1);
    expect(collector.records).toMatchObject([{ log: 'ab\n', container: { name: 'web-1' } }]);
  });

  it('takes in what Docker changes of a container', () => {
    const docker = new Docker();
    const path = docker.container(ID, WEB);
    const now = vi.spyOn(performance, 'now').mockReturnValue(0);
    onTestFinished(() => now.mockRestore());
    const attendant = new Containers(compileLabels([]), 'container', inputContext().log).attend(path);
    const nameIn = (): unknown => {
      const batch = new Batch();
      batch.push({}, '{}', 0, 0);
      attendant?.process(batch);
      return batch.record(0)['container'];
    };
    expect(nameIn()).toMatchObject({ name: 'web-1' });
    const config = configOf(path);
    writeFileSync(config, JSON.stringify({ ...WEB, Name: '/web-2' }));
    utimesSync(config, 1, 1);
    expect(nameIn()).toMatchObject({ name: 'web-1' });
    now.mockReturnValue(60_000);
    expect(nameIn()).toMatchObject({ name: 'web-2' });
  });

  it('is checked', () => {
    const check = (options: Record<string, string>) =>
      definition.check?.(optionsOf(definition.options, options), []) ?? [];
    expect(check({})).toEqual([]);
    expect(check({ path: '' })).toHaveLength(1);
    expect(check({ metadata_key: 'log' })).toHaveLength(1);
    expect(definition.tags?.(optionsOf(definition.options, {}), 'docker.<name>')).toEqual(['docker.*']);
  });
});

describe('what Docker says of a container (SECURITY 23)', () => {
  const all = compileLabels(['*']);

  it('is taken where it is of a form that Docker allows', () => {
    const docker = new Docker();
    const read = (id: string, config: unknown) => readContainer(docker.container(id, config), all);
    expect(read(ID, { ...WEB, Name: `/${'x'.repeat(300)}` })).toMatchObject({
      name: undefined,
      refused: ['name'],
    });
    expect(
      read('b'.repeat(64), { ...WEB, Name: '/a b\u0007', Config: { Image: 'x'.repeat(600) } }),
    ).toMatchObject({
      name: undefined,
      image: undefined,
      refused: ['name', 'image'],
    });
    const labels = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`l${index}`, 'v']));
    const many = read('c'.repeat(64), {
      Config: { Labels: { 'bad\n': 'x', long: 'x'.repeat(5000), number: 5, ...labels } },
    });
    expect(many.labels).toHaveLength(64);
    expect(many.refused).toHaveLength(3 + 100 - 64);
    expect(read('d'.repeat(64), [])).toMatchObject({ id: 'd'.repeat(64), name: undefined });
    expect(read('e'.repeat(64), 'x'.repeat(2 << 20))).toMatchObject({ name: undefined });
    expect(read('not-an-id', { Name: 5, Config: 5 })).toMatchObject({ id: '', name: undefined, labels: [] });
  });

  it('is not read through a link', () => {
    const docker = new Docker();
    const path = docker.container(ID, undefined);
    writeFileSync(join(docker.root, 'elsewhere'), JSON.stringify(WEB));
    symlinkSync(join(docker.root, 'elsewhere'), join(docker.root, ID, 'config.v2.json'));
    expect(readContainer(path, all)).toMatchObject({ id: ID, name: undefined });
  });

  it('wants labels by their names', () => {
    const wants = compileLabels(['a.*', 'b', '*.c']);
    expect(['a.x', 'ax', 'b', 'bb', 'x.c', '__proto__'].filter(wants)).toEqual(['a.x', 'b', 'x.c']);
  });
});
