import { describe, expect, it } from 'vitest';
import { accepted, lines, Workspace } from './workspace.ts';

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
