import { describe, expect, it } from 'vitest';
import { cli, workspace } from './harness.ts';

const GOOD =
  'pipeline:\n  inputs:\n    - { name: dummy, tag: a }\n  outputs:\n    - { name: stdout, match: a }\n';

describe('tailrace check', () => {
  it('is content with a good file', async () => {
    const directory = workspace({ 'a.yaml': GOOD });
    for (const args of [
      ['check', 'a.yaml'],
      ['check', '--strict', 'a.yaml'],
      ['-D', '-c', 'a.yaml'],
    ]) {
      expect(await cli(args, directory)).toEqual({ code: 0, stdout: 'a.yaml: is well\n', stderr: '' });
    }
  });

  it('shows every mistake with its place and its line', async () => {
    const directory = workspace({ 'a.yaml': GOOD.replace('match: a', 'mach: a').replace('dummy', 'dumy') });
    const { code, stdout } = await cli(['check', 'a.yaml'], directory);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^a\.yaml:3:\d+: error: .*"dummy"/m);
    expect(stdout).toMatch(/^a\.yaml:5:\d+: error: .*"match"/m);
    expect(stdout).toContain('|     - { name: stdout, mach: a }');
    expect(stdout).toMatch(/a\.yaml: cannot be used \(\d errors?\)\n$/);
  });

  it('minds warnings only with --strict', async () => {
    const directory = workspace({ 'a.yaml': `${GOOD}    - { name: "null", match: nothing.here }\n` });
    const lax = await cli(['check', 'a.yaml'], directory);
    expect(lax.code).toBe(0);
    expect(lax.stdout).toMatch(/^a\.yaml:6:\d+: warning: [\s\S]*is well \(1 warning\)\n$/m);
    expect((await cli(['check', '--strict', 'a.yaml'], directory)).code).toBe(1);
  });
});

describe('tailrace plugins', () => {
  it('lists what is there, and the options of one', async () => {
    const { code, stdout } = await cli(['plugins']);
    expect(code).toBe(0);
    for (const name of ['tail', 'grep', 'stdout', 'logfmt'])
      expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    const { stdout: tail } = await cli(['plugins', 'TAIL']);
    expect(tail).toMatch(/^input tail: /);
    expect(tail).toMatch(/^ {2}read_from_head {2}\(boolean; default (?:off|false)\)$/m);
    expect(tail).toMatch(/required/);
    expect(tail).toMatch(/^Example:|Every input also takes/m);
  });

  it('shows all plugins of one name', async () => {
    const { stdout } = await cli(['plugins', 'parser']);
    expect(stdout).toMatch(/^filter parser: /);
  });
});

describe('tailrace schema', () => {
  it('prints a JSON Schema with the plugins in it', async () => {
    const { code, stdout } = await cli(['schema']);
    expect(code).toBe(0);
    const schema = JSON.parse(stdout) as Record<string, unknown>;
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
    expect(JSON.stringify(schema)).toContain('read_from_head');
  });
});
