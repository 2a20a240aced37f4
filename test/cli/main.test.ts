import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, LAUNCHER, ROOT } from './harness.ts';

describe('the command line', () => {
  it('knows its version', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await cli(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('helps, with examples and exit codes, everywhere', async () => {
    const all = await cli(['--help']);
    expect(all).toMatchObject({ code: 0, stderr: '' });
    for (const command of ['run', 'check', 'tail', 'schema', 'plugins']) {
      expect(all.stdout).toContain(`  ${command}`);
      const { code, stdout } = await cli([command, '--help']);
      expect([code, stdout]).toEqual([0, expect.stringMatching(/Examples?:\n/)]);
    }
    expect(all.stdout).toContain('  3  the state directory is locked');
  });

  it.each([
    [[], /Usage: tailrace/],
    [['runn'], /unknown command 'runn'\n\(Did you mean run\?\)/],
    [['run'], /No configuration file was named/],
    [['run', '--confg', 'x'], /unknown option '--confg'/],
    [['run', 'x.yaml'], /too many arguments/],
    [['run', '-c', 'x.yaml', '--port', '70000'], /--port: "70000" is no port/],
    [
      ['-i', 'cpu', '-o', 'stdout'],
      /--input of Fluent Bit is not supported\. A pipeline is written into a file/,
    ],
    [['check'], /missing required argument 'file'/],
    [['tail'], /missing required argument 'path'/],
    [['plugins', 'nope'], /There is no plugin "nope"/],
  ])('%j is a mistake in usage, told without a stack trace', async (args, message) => {
    const { code, stderr } = await cli(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('shows the stack to whoever asks', async () => {
    const { stderr } = await cli(['run', '-c', 'x.yaml', '--port', 'x', '--debug']);
    expect(stderr).toMatch(/^\s+at /m);
  });

  it('refuses an old Node in one line', ({ skip }) => {
    const old = (process.env.PATH ?? '')
      .split(delimiter)
      .map((directory) => join(directory, 'node'))
      .find((node) => {
        const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
        return typeof stdout === 'string' && /^v(1\d|2[0-3])\./.test(stdout);
      });
    skip(old === undefined, 'there is no old Node on the path');
    const { status, stdout, stderr } = spawnSync(old ?? '', [LAUNCHER, '--version'], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^tailrace: this needs Node\.js 24 or newer, and this is v\d.*\n$/);
  });
});
