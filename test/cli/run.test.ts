import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { afterTest, Cli, cli, workspace } from './harness.ts';

const pipeline = (
  service: string,
  output = '{ name: stdout, match: "*", format: json_lines }',
  more = '',
): string => `
service: { flush: 0.05, grace: 2, ${service} }
pipeline:
  inputs:
    - { name: tail, path: in.log, tag: app, read_from_head: on, ${more} }
  outputs:
    - ${output}
`;

const START = { 'in.log': 'one\ntwo\n' };

describe('tailrace run', () => {
  it('ends by itself with exit_on_eof, everything delivered, and says what came of it', async () => {
    const directory = workspace({ ...START, 'a.yaml': pipeline('', undefined, 'exit_on_eof: on') });
    const { code, stdout, stderr } = await cli(['run', '-c', 'a.yaml'], directory);
    expect(code).toBe(0);
    expect(stdout.match(/"log":"\w+"/g)).toEqual(['"log":"one"', '"log":"two"']);
    const last = JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(last).toMatchObject({ level: 'info', read: 2, delivered: 2, in_doubt: 0 });
    expect(last.msg).toMatch(/^Stopped after .*nothing left · 0 in doubt$/);
  });

  it('goes on where it stood, in a folder of its own per configuration file', async () => {
    const text = pipeline('', undefined, 'exit_on_eof: on');
    const directory = workspace({ ...START, 'a.yaml': text, 'b.yaml': text });
    expect((await cli(['run', '-c', 'a.yaml'], directory)).stdout).toContain('one');
    appendFileSync(join(directory, 'in.log'), 'three\n');
    const second = await cli(['-c', 'a.yaml'], directory);
    expect(second.stdout.match(/"log":"\w+"/g)).toEqual(['"log":"three"']);
    expect((await cli(['run', '-c', 'b.yaml'], directory)).stdout).toContain('one');
    expect(readdirSync(join(directory, 'state')).length).toBe(2);
  });

  it('keeps nothing with --state-path off', async () => {
    const directory = workspace({ ...START, 'a.yaml': pipeline('', undefined, 'exit_on_eof: on') });
    for (let run = 0; run < 2; run++) {
      expect((await cli(['run', '-c', 'a.yaml', '--state-path', 'off'], directory)).stdout).toContain('one');
    }
    expect(existsSync(join(directory, 'state'))).toBe(false);
  });

  it('drains on SIGTERM and SIGINT', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const directory = workspace({ ...START, 'a.yaml': pipeline('') });
      const run = new Cli(['run', '-c', 'a.yaml'], directory);
      await run.until(({ stdout }) => stdout.includes('two'));
      run.signal(signal);
      expect(await run.exit()).toBe(0);
      expect(run.stderr).toContain('0 in doubt');
    }
  });

  it('stops at once on a second signal, with exit code 4', async () => {
    const sink = createServer(() => {}).listen(0, '127.0.0.1');
    await once(sink, 'listening');
    afterTest(() => {
      sink.closeAllConnections();
      sink.close();
    });
    const { port } = sink.address() as AddressInfo;
    const output = `{ name: http, match: "*", host: 127.0.0.1, port: ${port} }`;
    const directory = workspace({
      ...START,
      'a.yaml': pipeline('', output).replace('grace: 2', 'grace: 60'),
    });
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    await once(sink, 'request');
    run.signal('SIGTERM');
    await run.logged('Stopping');
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(4);
    expect(run.stderr).toMatch(/2 in the source · 2 in doubt/);
  });

  it('refuses a state that another agent holds, with exit code 3', async () => {
    const directory = workspace({ ...START, 'a.yaml': pipeline('') });
    const first = new Cli(['run', '-c', 'a.yaml'], directory);
    await first.logged('is running');
    const second = await cli(['run', '-c', 'a.yaml'], directory);
    expect(second.code).toBe(3);
    expect(second.stderr).toContain(String(first.child.pid));
    expect(second.stderr).not.toMatch(/^\s+at /m);
  });

  it('refuses a port that is taken, with exit code 3, before it reads anything', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    afterTest(() => void other.close());
    const { port } = other.address() as AddressInfo;
    const directory = workspace({ ...START, 'a.yaml': pipeline(`http_server: on, http_port: ${port}`) });
    const { code, stdout, stderr } = await cli(['run', '-c', 'a.yaml'], directory);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(new RegExp(`port ${port} is taken by another process`));
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it("refuses an input's port that is taken the same way", async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    afterTest(() => void other.close());
    const { port } = other.address() as AddressInfo;
    const directory = workspace({
      'a.yaml': `pipeline: { inputs: [{ name: tcp, port: ${port} }], outputs: [{ name: 'null', match: '*' }] }`,
    });
    const { code, stderr } = await cli(['run', '-c', 'a.yaml', '--state-path', 'off'], directory);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      new RegExp(
        String.raw`^tailrace: tcp\.0: listening on 127\.0\.0\.1:${port}: port ${port} is taken .* to another\. \(listen EADDRINUSE`,
      ),
    );
  });

  it('refuses a wrong configuration, with all that is wrong, exit code 1', async () => {
    const directory = workspace({ 'a.yaml': pipeline('log_levl: info', '{ name: stdot, match: "*" }') });
    const { code, stderr } = await cli(['run', '-c', 'a.yaml'], directory);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^a\.yaml:2:\d+: error: service\.log_levl: .*"log_level"/m);
    expect(stderr).toMatch(/^a\.yaml:7:\d+: error: .*"stdout"/m);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it.each([
    ['log_file: /dev/null/x.log', /The log file \/dev\/null\/x\.log cannot be opened/],
    ['state_path: /dev/null/x', /Positions cannot be kept in \/dev\/null\/x/],
  ])('refuses %s', async (service, message) => {
    const directory = workspace({ ...START, 'a.yaml': pipeline(service) });
    const { code, stderr } = await cli(['run', '-c', 'a.yaml'], directory);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('serves metrics, and reloads by signal and by request', async () => {
    const directory = workspace({ ...START, 'a.yaml': pipeline('http_server: on, http_port: 0') });
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    const url = await run.api();
    await run.until(({ stdout }) => stdout.includes('two'));
    expect(await (await fetch(`${url}/metrics`)).text()).toContain(
      'tailrace_input_read_records_total{name="tail.0"} 2\n',
    );
    expect((await fetch(`${url}/ready`)).status).toBe(200);

    const filtered = `${pipeline('http_server: on, http_port: 0')}  filters:\n    - { name: modify, match: "*", add: seen yes }\n`;
    writeFileSync(join(directory, 'a.yaml'), filtered);
    run.signal('SIGHUP');
    await run.logged('The configuration was reloaded');
    appendFileSync(join(directory, 'in.log'), 'three\n');
    await run.until(({ stdout }) => /"log":"three","seen":"yes"/.test(stdout));

    writeFileSync(join(directory, 'a.yaml'), `${filtered}nonsense: 1\n`);
    const refused = await fetch(`${url}/api/v2/reload`, { method: 'POST', body: '{}' });
    expect([refused.status, await refused.json()]).toEqual([
      400,
      {
        reload: 'refused',
        status: -3,
        problems: expect.arrayContaining([expect.stringContaining('nonsense')]),
      },
    ]);
    writeFileSync(join(directory, 'a.yaml'), filtered);
    const done = await fetch(`${url}/api/v2/reload`, { method: 'PUT' });
    expect(await done.json()).toEqual({ reload: 'done', status: 0 });
    expect(await (await fetch(`${url}/api/v2/reload`)).json()).toEqual({ hot_reload_count: 2 });
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(0);
    expect(run.stdout.match(/"log":"\w+"/g)).toEqual(['"log":"one"', '"log":"two"', '"log":"three"']);
  });

  it('does not reload with hot_reload: off', async () => {
    const directory = workspace({
      ...START,
      'a.yaml': pipeline('http_server: on, http_port: 0, hot_reload: off'),
    });
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    const answer = await fetch(`${await run.api()}/api/v2/reload`, { method: 'POST' });
    expect(await answer.json()).toEqual({ reload: 'not enabled', status: -1 });
    run.signal('SIGHUP');
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(0);
  });

  it('survives the reader of its output', async () => {
    const directory = workspace({ ...START, 'a.yaml': pipeline('http_server: on, http_port: 0') });
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    const url = await run.api();
    await run.until(({ stdout }) => stdout.includes('two'));
    run.child.stdout.destroy();
    appendFileSync(join(directory, 'in.log'), 'three\n');
    await run.until(({ log }) => log.some(({ level }) => level === 'warn'), 'a warning');
    expect((await fetch(`${url}/health`)).status).toBe(200);
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(0);
    expect(run.stderr).toContain('1 in the source');
  });

  it('tells no secret, in log, API or error', async () => {
    const output =
      '{ name: http, match: "*", host: 127.0.0.1, port: 1, http_user: me, http_passwd: canary1 }';
    const service = 'log_level: debug, http_server: on, http_port: 0, http_server.token: canary2';
    const directory = workspace({ ...START, 'a.yaml': pipeline(service, output) });
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    const url = await run.api();
    await run.until(({ log }) => log.some(({ level }) => level === 'warn'), 'a warning');
    const paths = [
      '/',
      '/metrics',
      '/ready',
      '/api/v1/metrics',
      '/api/v1/plugins',
      '/api/v2/metrics',
      '/api/v2/health',
    ];
    const bodies = await Promise.all(paths.map(async (path) => (await fetch(`${url}${path}`)).text()));
    writeFileSync(join(directory, 'a.yaml'), `${pipeline(service, output)}nonsense: 1\n`);
    bodies.push(await (await fetch(`${url}/api/v2/reload`, { method: 'POST' })).text());
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(0);
    expect(`${run.stdout}${run.stderr}${bodies.join('')}`).not.toMatch(/canary|Y2FuYXJ5/);
  });

  it('stops on a defect: logged, what is there delivered, exit code 5', async () => {
    const plugin = `export default { kind: 'input', name: 'bad', summary: 'Throws', options: {}, create: () => ({
      start() { process.stdin.once('data', () => { throw new Error('boom'); }); },
      stop() {},
    }) };`;
    const text = pipeline('').replace('  outputs:', '    - { name: bad, tag: b }\n  outputs:');
    const directory = workspace({ ...START, 'bad.mjs': plugin, 'a.yaml': `plugins: [./bad.mjs]${text}` });
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    await run.until(({ stdout }) => stdout.includes('two'));
    run.child.stdin.write('now\n');
    expect(await run.exit()).toBe(5);
    expect(run.log.find(({ level }) => level === 'error')).toMatchObject({
      error: 'boom',
      stack: expect.stringContaining('bad.mjs'),
      msg: 'A defect of tailrace: stopping',
    });
    expect(run.stderr).toContain('0 in doubt');
  });

  it('writes its log where it is told, and opens it anew on SIGHUP', async () => {
    const directory = workspace({ ...START, 'a.yaml': pipeline('log_file: agent.log') });
    const run = new Cli(['run', '-c', 'a.yaml'], directory);
    await run.until(({ stdout }) => stdout.includes('two'));
    renameSync(join(directory, 'agent.log'), join(directory, 'agent.log.1'));
    run.signal('SIGHUP');
    await expect.poll(() => existsSync(join(directory, 'agent.log'))).toBe(true);
    run.signal('SIGTERM');
    expect(await run.exit()).toBe(0);
    expect(run.stderr).toBe('');
    expect(readFileSync(join(directory, 'agent.log.1'), 'utf8')).toContain('Tailrace is running');
    expect(readFileSync(join(directory, 'agent.log'), 'utf8')).toContain('Stopped after');
  });

  it('says at the start what has no effect', async () => {
    const directory = workspace({
      ...START,
      'a.yaml': pipeline('', undefined, 'rotate_wait: 3, db.locking: on, exit_on_eof: on'),
    });
    const { code, stderr } = await cli(['run', '-c', 'a.yaml'], directory);
    expect(code).toBe(0);
    expect(stderr).toMatch(/"level":"info".*"at":"a\.yaml:5:\d+".*db\.locking/);
  });

  it('lets the command line overrule the file', async () => {
    const directory = workspace({ ...START, 'a.yaml': pipeline('', undefined, 'exit_on_eof: on') });
    const { code, stderr } = await cli(['-c', 'a.yaml', '-q'], directory);
    expect([code, stderr]).toEqual([0, '']);
    const logged = await cli(['-c', 'a.yaml', '-l', 'x.log', '-H', '-P', '0'], directory);
    expect(logged.stderr).toBe('');
    expect(readFileSync(join(directory, 'x.log'), 'utf8')).toContain('Metrics on http://127.0.0.1:');
  });
});
