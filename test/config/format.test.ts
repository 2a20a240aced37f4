import { describe, expect, it } from 'vitest';
import { formatProblem } from '../../src/config/format.ts';
import { maskLine } from '../../src/config/mask.ts';
import { lines, loadText, PIPELINE } from './workspace.ts';

const problem = {
  level: 'error' as const,
  position: { file: 'bad.yaml', line: 8, column: 7 },
  path: 'pipeline.inputs[0].read_from_hed',
  message: 'unknown key — did you mean "read_from_head"?',
  source: '      read_from_hed: on',
};

describe('a problem as it is shown', () => {
  it('has place, level, path, message, the line and a caret', () => {
    expect(formatProblem(problem).split('\n')).toEqual([
      'bad.yaml:8:7: error: pipeline.inputs[0].read_from_hed: unknown key — did you mean "read_from_head"?',
      '    8 |       read_from_hed: on',
      '      |       ^',
    ]);
  });

  it('is coloured only if asked', () => {
    expect(formatProblem(problem)).not.toContain('\u001b');
    expect(formatProblem(problem, { color: true })).toContain('\u001b[31merror:\u001b[0m');
  });

  it('keeps the caret below its column behind tabs', () => {
    const [, shown, caret] = formatProblem({
      ...problem,
      source: '\t\tkey: x',
      position: { ...problem.position, column: 3 },
    }).split('\n');
    expect(shown).toBe('    8 | \t\tkey: x');
    expect(caret).toBe('      | \t\t^');
  });

  it('cuts long lines around the place and shows nothing that a terminal would obey', () => {
    const source = `${'x'.repeat(500)}\u001b[2J${'y'.repeat(500)}`;
    const text = formatProblem({ ...problem, source, position: { ...problem.position, column: 501 } });
    expect(text.length).toBeLessThan(400);
    expect(text).not.toContain('\u001b');
    expect(text.split('\n')[2]?.indexOf('^')).toBe(text.split('\n')[1]?.indexOf('\ufffd'));
  });

  it('without a place is one sentence', () => {
    expect(formatProblem({ ...problem, position: undefined, path: '', source: undefined })).toBe(
      `error: ${problem.message}`,
    );
  });
});

describe('secrets in source lines', () => {
  it.each([
    ['      http_passwd: hunter2', '      http_passwd: ***'],
    ['    HTTP_Token: hunter2', '    HTTP_Token: ***'],
    ["  DB_PASSWORD: 'hunter2'", '  DB_PASSWORD: ***'],
    ['  ES_KEY: hunter2', '  ES_KEY: ***'],
    ['  - {name: DB_PWD, value: hunter2}', '  - {name: DB_PWD, value: ***'],
    ['      header: Authorization Bearer hunter2', '      header: Authorization ***'],
    ['    - {name: http, http_passwd: hunter2, prot: 1}', '    - {name: http, http_passwd: ***'],
    ['      proxy: http://me:hunter2@proxy:3128', '      proxy: http://***@proxy:3128'],
    ['      http_passwd: ${DB_PASSWORD}', '      http_passwd: ${DB_PASSWORD}'],
    ['      tag: app', '      tag: app'],
  ])('%s', (line, masked) => {
    expect(maskLine(line)).toBe(masked);
  });

  it('no problem of a loaded file shows a secret, wherever it stands', async () => {
    const result = await loadText(`env:
  - name: DB_PASSWORD
    value: hunter2
    valeu: hunter2
service:
  http_token: [hunter2]
  http_server.token: hunter2
pipeline:
  inputs:
    - name: dummy
  outputs:
    - name: http
      match: '*'
      http_user: me
      http_passwd:
        - hunter2
      port: \${DB_PASSWORD}x
`);
    const shown = result.problems.map((one) => formatProblem(one)).join('\n');
    expect(lines(result).length).toBeGreaterThan(2);
    expect(shown).not.toContain('hunter2');
  });

  it('a value that came from a file is not shown', async () => {
    const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
    const directory = mkdtempSync('/tmp/tailrace-secret-');
    try {
      writeFileSync(`${directory}/pw`, 'hunter2\n');
      const result = await loadText(
        `env:\n  - name: PW\n    uri: file://${directory}/pw\nservice:\n  flush: \${PW}\n${PIPELINE}`,
      );
      expect(lines(result)).toEqual([expect.stringContaining('error 5 "***" is not a time') as string]);
      expect(JSON.stringify(result.problems)).not.toContain('hunter2');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
