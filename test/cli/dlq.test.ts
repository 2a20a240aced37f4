/** `tailrace dlq` on files of dead letters that the test wrote, the hostile ones included. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Cli, cli, workspace } from './harness.ts';

const PIPELINE = `
service: { flush: 0.05 }
pipeline:
  inputs:
    - { name: dummy, tag: app }
  outputs:
    - { name: file, alias: es, match: app, path: ., file: out, format: plain }
    - { name: file, alias: other, match: nothing, path: ., file: other, format: plain }
`;

function letter(n: number, more: Record<string, unknown> = {}): string {
  return `${JSON.stringify({
    time: `2026-01-0${n}T00:00:00.000000001Z`,
    tag: 'app',
    output: 'es',
    status: 400,
    reason: 'mapping conflict',
    attempts: 1,
    first_attempt: `2026-01-0${n}T00:00:01.000Z`,
    last_attempt: `2026-01-0${n}T00:00:02.000Z`,
    ...more,
    record: { n },
  })}\n`;
}

/** A workspace whose agent `a.yaml` has these dead letters of output es. */
async function withLetters(
  ...files: string[]
): Promise<{ directory: string; folder: string; kept: () => string }> {
  const directory = workspace({ 'a.yaml': PIPELINE });
  // The folder of the configuration is made by a run that has nothing to do.
  const { stderr } = await cli(['status', '-c', 'a.yaml'], directory);
  const state = /state directory (\S+)\.\n/.exec(stderr)?.[1] ?? '';
  const folder = join(state, 'dead-letters', 'es');
  mkdirSync(folder, { recursive: true });
  files.forEach((text, index) => writeFileSync(join(folder, `1767225600000-${index + 1}.ndjson`), text));
  const kept = (): string =>
    readdirSync(folder)
      .toSorted()
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('');
  return { directory, folder, kept };
}

/** Letters between lines that are none. */
const HOSTILE = [
  letter(1, { reason: 'clear \u001b[2J\nsecond line\u0007' }),
  '{"time":"2026-01-01T00:00:00Z","tag":\n',
  '\u001b[2J\u0000\n',
  `{"x":"${'y'.repeat(1_000_000)}"}\n`,
  `${'['.repeat(50_000)}\n`,
  letter(2),
  '{"time":"2026-01-0',
].join('');

describe('tailrace dlq ls', () => {
  it('lists outputs with their reasons, the configuration named or not', async () => {
    const { directory } = await withLetters(
      letter(1) + letter(2),
      letter(3, { status: 413, reason: 'too large' }),
    );
    for (const args of [[], ['-c', 'a.yaml']]) {
      const { code, stdout } = await cli(['dlq', 'ls', ...args], directory);
      expect(code).toBe(0);
      expect(stdout.split('\n')).toEqual([
        'output  letters  bytes  oldest                    newest',
        expect.stringMatching(/^es +3 +\d+ B {2}2026-01-01T00:00:02\.000Z {2}2026-01-03T00:00:02\.000Z$/),
        '    2× 400 mapping conflict',
        '    1× 413 too large',
        '',
      ]);
    }
    const { stdout } = await cli(['dlq', 'ls', '--json'], directory);
    expect(JSON.parse(stdout)).toMatchObject([
      { output: 'es', letters: 3, unreadable: 0, reasons: [{ status: 400, letters: 2 }, { status: 413 }] },
    ]);
  });

  it('counts lines that are no letters, and obeys none', async () => {
    const { directory } = await withLetters(HOSTILE);
    const { code, stdout } = await cli(['dlq', 'ls'], directory);
    expect(code).toBe(0);
    expect(stdout).toContain('    5 unreadable lines\n');
    expect(stdout).not.toMatch(/[\u0007\u001b]/);
  });

  it('says so when there are none', async () => {
    const directory = workspace({ 'a.yaml': PIPELINE });
    expect(await cli(['dlq', 'ls', '-c', 'a.yaml'], directory)).toMatchObject({
      code: 0,
      stdout: 'There are no dead letters.\n',
    });
    expect(await cli(['dlq', 'ls'], directory)).toMatchObject({ code: 1 });
    expect(await cli(['dlq', 'show', 'nobody', '-c', 'a.yaml'], directory)).toMatchObject({ code: 1 });
  });
});

describe('tailrace dlq show', () => {
  it('shows records, and why they are here', async () => {
    const { directory } = await withLetters(letter(1) + letter(2), letter(3));
    const { code, stdout } = await cli(['dlq', 'show', 'es', '-n', '2'], directory);
    expect(code).toBe(0);
    expect(stdout).toBe(
      '2026-01-01 00:00:00.000       app n=1\n' +
        '    es · 400 · mapping conflict · 1 attempt, 2026-01-01T00:00:01.000Z to 2026-01-01T00:00:02.000Z\n' +
        '2026-01-02 00:00:00.000       app n=2\n' +
        '    es · 400 · mapping conflict · 1 attempt, 2026-01-02T00:00:01.000Z to 2026-01-02T00:00:02.000Z\n',
    );
    const raw = await cli(['dlq', 'show', '--json'], directory);
    expect(raw.stdout).toBe(letter(1) + letter(2) + letter(3));
  });

  it('picks by what is in the record and what the letter says about it', async () => {
    const { directory } = await withLetters(letter(1) + letter(2) + letter(3, { status: 413 }));
    const shown = async (where: string): Promise<string> =>
      (await cli(['dlq', 'show', '--json', '--where', where], directory)).stdout;
    expect(await shown('n == 2')).toBe(letter(2));
    expect(await shown('dead_letter.status == 400 and n > 1')).toBe(letter(2));
    expect(await shown('dead_letter.status == 413 or dead_letter.tag != "app"')).toBe(
      letter(3, { status: 413 }),
    );
    const wrong = await cli(['dlq', 'show', '--where', 'n = = 1'], directory);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringMatching(/--where: .*\n {2}n = = 1\n {6}\^/),
    ]);
    expect((await cli(['dlq', 'show', '-n', '0'], directory)).code).toBe(2);
  });

  it('passes over damaged lines, huge ones, and what would command the terminal', async () => {
    const { directory } = await withLetters(HOSTILE);
    for (const args of [[], ['--json']]) {
      const { code, stdout, stderr } = await cli(['dlq', 'show', ...args], directory);
      expect(code).toBe(0);
      expect(stdout).toContain('second line');
      // oxlint-disable-next-line no-control-regex
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      expect(stdout.trimEnd().split('\n').length).toBe(args.length === 0 ? 4 : 2);
      expect(stderr).toBe('tailrace: 5 unreadable lines were skipped\n');
    }
  });

  it('ends when its reader goes', async () => {
    const { directory } = await withLetters(letter(1).repeat(20_000));
    const show = new Cli(['dlq', 'show'], directory);
    await show.until(({ stdout }) => stdout.length > 0);
    show.child.stdout.destroy();
    expect(await show.exit()).toBe(0);
  });
});

describe('tailrace dlq replay without an agent', () => {
  it('sends letters by itself, and leaves what it was not asked for and what cannot be read', async () => {
    const { directory, kept } = await withLetters(HOSTILE, letter(3) + letter(4));
    const { code, stdout } = await cli(['dlq', 'replay', '-c', 'a.yaml', '--where', 'n != 3'], directory);
    expect(stdout).toBe('replayed 3 · delivered 3 · refused again 0 · not matching 1 · unreadable lines 5\n');
    expect(code).toBe(0);
    const out = readFileSync(join(directory, 'out'), 'utf8');
    expect(out.split('\n').filter(Boolean)).toEqual(['{"n":1}', '{"n":2}', '{"n":4}']);
    expect(kept()).toBe(
      HOSTILE.replace(letter(1, { reason: 'clear \u001b[2J\nsecond line\u0007' }), '').replace(
        letter(2),
        '',
      ) + letter(3),
    );
  });

  it('sends to another output where it is told to, and keeps what has none', async () => {
    const { directory, kept } = await withLetters(letter(1, { output: 'gone' }) + letter(2));
    const first = await cli(['dlq', 'replay', '-c', 'a.yaml'], directory);
    expect(first.code).toBe(1);
    expect(first.stdout).toContain('replayed 1 · delivered 1');
    expect(first.stdout).toContain('(see --to) 1');
    expect(kept()).toBe(letter(1, { output: 'gone' }));
    const second = await cli(['dlq', 'replay', '-c', 'a.yaml', '--to', 'other', '--json'], directory);
    expect(JSON.parse(second.stdout)).toMatchObject({ delivered: 1, homeless: 0 });
    expect(readFileSync(join(directory, 'other'), 'utf8')).toBe('{"n":1}\n');
    expect(kept()).toBe('');
  });

  it('says what is wrong before anything is sent', async () => {
    const { directory, kept } = await withLetters(letter(1));
    const noConfig = await cli(['dlq', 'replay'], directory);
    expect([noConfig.code, noConfig.stderr]).toEqual([2, expect.stringContaining('-c FILE')]);
    const noOutput = await cli(['dlq', 'replay', '-c', 'a.yaml', '--to', 'nowhere'], directory);
    expect([noOutput.code, noOutput.stderr]).toEqual([
      1,
      expect.stringContaining('the configuration has es, other'),
    ]);
    const noLetters = await cli(['dlq', 'replay', 'other', '-c', 'a.yaml'], directory);
    expect([noLetters.code, noLetters.stderr]).toEqual([1, expect.stringContaining('There are some of: es')]);
    expect((await cli(['dlq', 'replay', '-c', 'a.yaml', '--where', '('], directory)).code).toBe(2);
    expect((await cli(['dlq', 'wrong'], directory)).code).toBe(2);
    expect(kept()).toBe(letter(1));
  });
});
