import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigWatch } from '../../src/cli/config-watch.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { mountConfigMap } from '../support/config-map.ts';
import { afterTest, Cli, cli, workspace } from './harness.ts';

const LOG = createLogger({
  level: 'off',
  file: undefined,
  pretty: false,
  color: false,
  metrics: new Metrics(),
});

/** A watch that looks only when told to, over the files of a directory; and how often it asked for a reload. */
async function watching(directory: string, ...names: readonly string[]) {
  const files = names.map((name) => join(directory, name));
  const watch = new ConfigWatch();
  const asked = { reloads: 0 };
  await watch.beforeLoad(files.slice(0, 1));
  await watch.afterLoad(files);
  watch.start({
    log: LOG,
    async reload() {
      asked.reloads++;
      await watch.beforeLoad(files);
      await watch.afterLoad(files);
    },
  });
  afterTest(() => watch.stop());
  return { watch, asked };
}

describe('the watch over the files of a configuration', () => {
  it('takes what two looks find alike, and that once', async () => {
    const directory = workspace({ 'a.yaml': 'one', 'included.yaml': 'one' });
    const { watch, asked } = await watching(directory, 'a.yaml', 'included.yaml');
    await watch.look();
    await watch.look();
    expect(asked.reloads).toBe(0);

    writeFileSync(join(directory, 'included.yaml'), 'half');
    await watch.look();
    writeFileSync(join(directory, 'included.yaml'), 'half and half');
    await watch.look();
    expect(asked.reloads, 'while it is being written').toBe(0);
    await watch.look();
    expect(asked.reloads).toBe(1);
    await watch.look();
    await watch.look();
    expect(asked.reloads).toBe(1);
  });

  it('does not mind a file that is touched, or turns back', async () => {
    const directory = workspace({ 'a.yaml': 'one' });
    const { watch, asked } = await watching(directory, 'a.yaml');
    writeFileSync(join(directory, 'a.yaml'), 'one');
    await watch.look();
    await watch.look();
    writeFileSync(join(directory, 'a.yaml'), 'two');
    await watch.look();
    writeFileSync(join(directory, 'a.yaml'), 'one');
    await watch.look();
    await watch.look();
    expect(asked.reloads).toBe(0);
  });

  it('says once that a file is gone', async () => {
    const directory = workspace({ 'a.yaml': 'one' });
    const { watch, asked } = await watching(directory, 'a.yaml');
    rmSync(join(directory, 'a.yaml'));
    for (let looks = 0; looks < 4; looks++) await watch.look();
    expect(asked.reloads).toBe(1);
  });

  it('does nothing more once it was stopped', async () => {
    const directory = workspace({ 'a.yaml': 'one' });
    const { watch, asked } = await watching(directory, 'a.yaml');
    writeFileSync(join(directory, 'a.yaml'), 'two');
    await watch.look();
    watch.stop();
    await watch.look();
    expect(asked.reloads).toBe(0);
  });
});

const pipeline = (filters: string, watch = '50ms') => `
service: { flush: 0.05, grace: 2, http_server: on, http_port: 0, hot_reload.watch: ${watch} }
includes: [ parsers.yaml ]
pipeline:
  inputs:
    - { name: tail, path: in.log, tag: app, parser: line, read_from_head: on }
  filters:
    - ${filters}
  outputs:
    - { name: stdout, match: "*", format: json_lines }
`;

const parser = (key: string) => `parsers: [ { name: line, format: regex, regex: '^(?<${key}>.*)$' } ]\n`;

const SEEN = '{ name: modify, match: "*", add: seen yes }';

describe('hot_reload.watch', () => {
  it('reloads when a ConfigMap changes, and goes on with the old one when the new one is wrong', async () => {
    const directory = workspace({ 'in.log': 'one\n' });
    const config = join(directory, 'config');
    mountConfigMap(config, 1, {
      'a.yaml': pipeline('{ name: modify, match: "*", add: seen no }'),
      'parsers.yaml': parser('text'),
    });
    const run = new Cli(['run', '-c', 'config/a.yaml'], directory);
    const url = await run.api();
    const lastReload = async () =>
      /^tailrace_config_last_reload_successful (\d)$/m.exec(
        await (await fetch(`${url}/metrics`)).text(),
      )?.[1];
    await run.until(({ stdout }) => stdout.includes('"text":"one","seen":"no"'));

    mountConfigMap(config, 2, { 'a.yaml': pipeline(SEEN), 'parsers.yaml': parser('text') });
    await run.logged('The configuration was reloaded');
    appendFileSync(join(directory, 'in.log'), 'two\n');
    await run.until(({ stdout }) => stdout.includes('"text":"two","seen":"yes"'));
    expect(await lastReload()).toBe('1');

    mountConfigMap(config, 3, {
      'a.yaml': pipeline('{ name: modfy, match: "*" }'),
      'parsers.yaml': parser('text'),
    });
    await run.logged('The new configuration is not used');
    expect(await lastReload()).toBe('0');
    appendFileSync(join(directory, 'in.log'), 'three\n');
    await run.until(({ stdout }) => stdout.includes('"text":"three","seen":"yes"'));

    // The next change is in an included file, too.
    mountConfigMap(config, 4, { 'a.yaml': pipeline(SEEN), 'parsers.yaml': parser('line') });
    await run.until(
      ({ log }) => log.filter(({ msg }) => msg === 'The configuration was reloaded').length === 2,
    );
    appendFileSync(join(directory, 'in.log'), 'four\n');
    await run.until(({ stdout }) => stdout.includes('"line":"four","seen":"yes"'));
    expect(await lastReload()).toBe('1');
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(0);
    const refused = run.log.filter(({ msg }) => String(msg).startsWith('The new configuration is not used'));
    expect(refused).toHaveLength(1);
  });

  it('can be switched off by a reload', async () => {
    const directory = workspace({ 'in.log': 'one\n', 'parsers.yaml': parser('text') });
    writeFileSync(join(directory, 'in.log'), 'one\n');
    writeFileSync(join(directory, 'a.yaml'), pipeline(SEEN));
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    await run.api();
    writeFileSync(join(directory, 'a.yaml'), pipeline(SEEN, 'off'));
    await run.logged('The configuration was reloaded');
    writeFileSync(join(directory, 'a.yaml'), pipeline('{ name: modify, match: "*", add: seen no }', 'off'));
    run.signal('SIGHUP');
    await run.until(
      ({ log }) => log.filter(({ msg }) => msg === 'The configuration was reloaded').length === 2,
    );
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(0);
    expect(run.log.filter(({ msg }) => msg === 'The configuration changed on disk: reloading')).toHaveLength(
      1,
    );
  });

  it('is refused where nothing may be reloaded', async () => {
    const directory = workspace({
      'parsers.yaml': parser('text'),
      'a.yaml': pipeline(SEEN).replace('flush:', 'hot_reload: off, flush:'),
    });
    const { code, stdout, stderr } = await cli(['check', 'a.yaml'], directory);
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/hot_reload\.watch.*nothing is reloaded with hot_reload: off/);
  });
});
