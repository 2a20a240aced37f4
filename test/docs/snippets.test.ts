/** What the documentation shows is what the agent takes: every YAML in it is checked as `tailrace check` would. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import { registry } from '../../plugins/index.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Problem } from '../../src/config/problem.ts';
import { translateRegex } from '../../src/parse/regex.ts';
import { tlsFile } from '../net/servers.ts';
import { snippets, snippetsOf } from './snippets.ts';

type Plugin = Record<string, unknown>;

/** A whole configuration around what a page shows of one. */
function completed(text: string): string {
  const { pipeline = {}, parsers, service, ...lists } = parse(withFiles(text)) as Record<string, unknown>;
  const all = { ...lists, ...(pipeline as object) } as Record<string, Plugin[]>;
  all['inputs'] ??= [...(all['filters'] ?? []), ...(all['outputs'] ?? [])].map(({ match }) => ({
    name: 'dummy',
    tag: String(match).replaceAll('*', 'x'),
  }));
  if (all['inputs'].length === 0) all['inputs'] = [{ name: 'dummy' }];
  all['outputs'] ??= [{ name: 'null', match: '*' }];
  return stringify({ service, parsers, pipeline: all });
}

/** Certificates and keys that a page names are those of the tests. */
function withFiles(text: string): string {
  return text.replaceAll(
    /^(\s*(?:- )?tls\.(ca|crt|key)_file:) \S+$/gm,
    (_line, key: string, kind: 'ca' | 'crt' | 'key') =>
      `${key} ${tlsFile({ ca: 'ca.pem', crt: 'server.pem', key: 'server.key' }[kind])}`,
  );
}

async function errorsOf(text: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'tailrace.yaml');
  writeFileSync(file, text);
  // Every variable has a value: on whose machine a page is read nobody knows.
  const names = [...text.matchAll(/\$\{(\w+)/g)].map(([, name = '']) => [name, 'value']);
  const { problems } = await loadConfig(file, {
    env: Object.fromEntries(names) as Record<string, string>,
    registry,
    compileRegex: (pattern) => translateRegex(pattern).regex,
  });
  return problems
    .filter(({ level }) => level === 'error')
    .map(({ path, message }: Problem) => `${path}: ${message}`);
}

describe('the YAML of the documentation', () => {
  const all = snippets();

  it('is found', () => {
    expect(all.filter(({ kind }) => kind === 'pipeline').length).toBeGreaterThan(50);
    // The chart's suite has them judged by helm.
    expect(all.filter(({ kind }) => kind === 'values').length).toBeGreaterThan(1);
  });

  it.each(all.filter(({ kind }) => kind === 'pipeline'))('$at is taken as it stands', async ({ text }) => {
    expect(await errorsOf(completed(text))).toEqual([]);
  });
});

describe('a page that has become wrong', () => {
  it('is noticed: an option that there is not', async () => {
    const [snippet] = snippetsOf('```yaml\n  inputs:\n    - name: syslog\n      prot: 514\n```\n', 'a.md');
    expect(await errorsOf(completed(snippet?.text ?? ''))).toEqual([
      expect.stringMatching(/\.prot: unknown key/) as string,
    ]);
  });

  it('is noticed: a block that is nothing that there is', () => {
    expect(() => snippetsOf('\n```yaml\noutptus: []\n```\n', 'a.md')).toThrow(/^a\.md:2 is neither/);
  });
});
