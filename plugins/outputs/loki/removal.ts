/** Takes keys out of a record, nested ones too, without changing it: only maps on the way to a removed key are made anew. */
import { getKey, isRecord, setKey } from '../../../src/plugin.ts';
import type { LogRecord, PathStep, ReadonlyRecord, ReadonlyValue, Value } from '../../../src/plugin.ts';

/** What is removed below one key: all of it, or some of its own keys. */
type Tree = Map<PathStep, Tree | 'all'>;

/** The record without the keys; the same object when it has none of them. */
export type Remove = (record: ReadonlyRecord) => ReadonlyRecord;

/** Compiles paths; undefined when there is none. */
export function compileRemoval(paths: readonly (readonly PathStep[])[]): Remove | undefined {
  const root: Tree = new Map();
  for (const path of paths) {
    let tree = root;
    for (const [at, step] of path.entries()) {
      const below = tree.get(step);
      if (below === 'all') break;
      if (at === path.length - 1) {
        tree.set(step, 'all');
      } else {
        const next: Tree = below ?? new Map();
        tree.set(step, next);
        tree = next;
      }
    }
  }
  return root.size === 0 ? undefined : (record) => without(record, root) as ReadonlyRecord;
}

function without(value: ReadonlyValue, tree: Tree): ReadonlyValue {
  if (Array.isArray(value)) return withoutItems(value as readonly ReadonlyValue[], tree);
  if (!isRecord(value) || !touches(value, tree)) return value;
  const rest: LogRecord = {};
  for (const key of Object.keys(value)) {
    const below = tree.get(key);
    const inner = value[key] as Value;
    if (below === undefined) setKey(rest, key, inner);
    else if (below !== 'all') setKey(rest, key, without(inner, below) as Value);
  }
  return rest;
}

function withoutItems(list: readonly ReadonlyValue[], tree: Tree): ReadonlyValue {
  if (!list.some((_, index) => tree.has(index))) return list;
  return list.flatMap((item, index) => {
    const below = tree.get(index);
    if (below === 'all') return [];
    return [below === undefined ? item : without(item, below)];
  });
}

function touches(record: ReadonlyRecord, tree: Tree): boolean {
  for (const [step, below] of tree) {
    const value = typeof step === 'string' ? getKey(record, step) : undefined;
    if (value === undefined) continue;
    if (below === 'all' || without(value, below) !== value) return true;
  }
  return false;
}
