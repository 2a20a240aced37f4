import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { accepted, lines, Workspace } from './workspace.ts';

const TAILRACE = join(import.meta.dirname, '../../bin/tailrace.js');

/** Checks a file by the command line: in a process of its own modules are loaded as users get them. */
function check(file: string): { status: number | null; stdout: string } {
  return spawnSync(process.execPath, [TAILRACE, 'check', file], { encoding: 'utf8' });
}

const FILTER = `
export default {
  kind: 'filter',
  name: 'shout',
  summary: 'Capital letters',
  options: {},
  create: () => ({ process() {} }),
};
`;

const pipeline = (plugin: string): string => `plugins:
  - ${plugin}
pipeline:
  inputs:
    - name: dummy
  filters:
    - name: Shout
      match: '*'
  outputs:
    - name: stdout
      match: '*'
`;

describe("users' own plugins", () => {
  it('are files beside the configuration', async () => {
    using workspace = new Workspace();
    workspace.write('filters/shout.mjs', FILTER);
    const { filters } = accepted(await workspace.load(pipeline('./filters/shout.mjs')));
    expect(filters[0]?.definition.name).toBe('shout');
  });

  it('may be TypeScript, with `tailrace` as their SDK, and no package around them', async () => {
    using workspace = new Workspace();
    const text = `import { defineFilter, integer } from 'tailrace';
import type { Batch } from 'tailrace';
const times: number = 2;
export default defineFilter({
  name: 'shout',
  summary: 'Capital letters',
  options: { times: integer({ min: 1 }).default(times) },
  create: () => ({ process(_batch: Batch): void {} }),
});
`;
    workspace.write('shout.ts', text);
    expect(check(workspace.write('good.yaml', pipeline('./shout.ts'))).status).toBe(0);
    const wrong = check(
      workspace.write('bad.yaml', pipeline('./shout.ts').replace('Shout', 'shout\n      tims: 0')),
    );
    expect(wrong.status).toBe(1);
    expect(wrong.stdout).toMatch(/bad\.yaml:8:7: error: .*did you mean "times"/);
  });

  it('are packages found from the configuration on, also those that can only be imported', async () => {
    using workspace = new Workspace();
    workspace.write(
      'node_modules/tailrace-plugin-shout/package.json',
      '{"name":"tailrace-plugin-shout","type":"module","exports":{".":{"import":"./lib.js"}}}',
    );
    workspace.write('node_modules/tailrace-plugin-shout/lib.js', FILTER);
    const { filters } = accepted(await workspace.load(pipeline('tailrace-plugin-shout')));
    expect(filters[0]?.definition.name).toBe('shout');
  });

  it.each([
    [
      'with an export that is no definition',
      'export default { name: "shout" };',
      /default export is no plugin definition/,
    ],
    ['without an export', 'export const x = 1;', /default export is no plugin definition/],
    ['that throw', 'throw new Error("no licence");', /cannot be loaded: no licence/],
  ])('%s are refused at their line', async (_name, text, says) => {
    using workspace = new Workspace();
    workspace.write('shout.mjs', text);
    const result = await workspace.load(pipeline('./shout.mjs'));
    expect(lines(result)[0]).toMatch(/^error 2 /);
    expect(lines(result)[0]).toMatch(says);
  });
});
