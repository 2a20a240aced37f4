/** The house's rule (ARCHITECTURE.md): arrows point one way, and plugins stand on the SDK alone. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** From bottom to top; nothing imports sideways or upwards. */
const STEPS = [
  ['event'],
  ['config', 'codec', 'record', 'parse'],
  ['telemetry'],
  ['net'],
  ['state', 'buffer', 'routing', 'delivery'],
  ['pipeline'],
  ['api'],
  ['cli'],
];

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
  dynamic: boolean;
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found: Import[] = [];
  const target = (specifier: string): string =>
    specifier.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(file), specifier)) : specifier;
  for (const [, typeOnly, specifier] of text.matchAll(
    /^(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?'([^']+)'/gm,
  )) {
    found.push({
      from: file,
      to: target(specifier as string),
      typeOnly: typeOnly !== undefined,
      dynamic: false,
    });
  }
  for (const [, specifier] of text.matchAll(/\bimport\(\s*'([^']+)'/g)) {
    found.push({ from: file, to: target(specifier as string), typeOnly: false, dynamic: true });
  }
  return found;
}

const room = (file: string): string => file.split('/')[1] ?? '';
/** A plugin's own files: `inputs/tail/…`, or `filters/grep.ts` and `filters/grep/…`. */
const unit = (file: string): string => file.split('/').slice(0, 3).join('/').replace(/\.ts$/, '');
const step = (file: string): number => STEPS.findIndex((rooms) => rooms.includes(room(file)));

const sources = filesBelow('src');
const plugins = filesBelow('plugins');
const inside = sources
  .flatMap(importsOf)
  .filter(({ to }) => to.startsWith('src/') || to.startsWith('plugins/'));

function forbidden({ from, to, typeOnly }: Import): boolean {
  if (from === 'src/plugin.ts') return !to.startsWith('src/');
  // The contracts are known everywhere, as types; only plugins run on the SDK itself.
  if (to === 'src/plugin.ts') return !typeOnly;
  // The registry is handed down by the command line; nothing else knows a plugin by name.
  if (to.startsWith('plugins/')) return room(from) !== 'cli' || !['plugins/index.ts'].includes(to);
  return room(from) !== room(to) && step(to) >= step(from);
}

describe('architecture', () => {
  it('finds the imports that it judges', () => {
    expect(sources.length).toBeGreaterThan(40);
    expect(inside.length).toBeGreaterThan(100);
    expect(importsOf('src/pipeline/build.ts')).toContainEqual({
      from: 'src/pipeline/build.ts',
      to: 'src/buffer/memory.ts',
      typeOnly: true,
      dynamic: false,
    });
  });

  it('knows every room of src/', () => {
    const rooms = sources.filter((file) => file !== 'src/plugin.ts').map(room);
    expect(rooms.filter((name) => !STEPS.flat().includes(name))).toEqual([]);
  });

  it('arrows point one way', () => {
    expect(inside.filter(forbidden).map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  it('would see an arrow that points the wrong way', () => {
    const arrow = (from: string, to: string, typeOnly = false): boolean =>
      forbidden({ from, to, typeOnly, dynamic: false });
    expect(arrow('src/event/batch.ts', 'src/delivery/queue.ts')).toBe(true);
    expect(arrow('src/delivery/queue.ts', 'src/routing/match.ts')).toBe(true);
    expect(arrow('src/pipeline/build.ts', 'plugins/index.ts')).toBe(true);
    expect(arrow('src/pipeline/build.ts', 'src/plugin.ts')).toBe(true);
    expect(arrow('src/pipeline/build.ts', 'src/event/batch.ts')).toBe(false);
  });

  it('plugins import the SDK, their own files, what their family shares, and libraries', () => {
    const bad = plugins.flatMap(importsOf).filter(({ from, to, dynamic }) => {
      if (from === 'plugins/index.ts')
        return to.startsWith('src/') ? to !== 'src/plugin.ts' : !dynamic && to !== 'plugins/parsers/stock.ts';
      if (!to.startsWith('src/') && !to.startsWith('plugins/')) return false;
      if (to === 'src/plugin.ts' || to.startsWith('plugins/shared/')) return false;
      return unit(from) !== unit(to);
    });
    expect(bad.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  it('the process ends only in src/cli', () => {
    const ends = [...sources, ...plugins].filter(
      (file) =>
        !file.startsWith('src/cli/') && /\bprocess\.exit\(/.test(readFileSync(join(ROOT, file), 'utf8')),
    );
    expect(ends).toEqual([]);
  });

  it('YAML is read in src/config alone', () => {
    const users = [...sources, ...plugins].flatMap(importsOf).filter(({ to }) => to === 'yaml');
    expect(users.length).toBeGreaterThan(0);
    expect(users.filter(({ from }) => !from.startsWith('src/config/')).map(({ from }) => from)).toEqual([]);
  });
});
