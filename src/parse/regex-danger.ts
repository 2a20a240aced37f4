/**
 * Finds expressions whose backtracking can grow exponentially with the text: a repeat without bound inside of another, where nothing
 * that each round must match tells one round from the next, as in `(a+)+` but not in `([^,]+,)+`.
 *
 * V8's linear engine takes over from a runaway match; this is for the expressions that it cannot run. Errs on the side of danger.
 */
import { intersects, union } from './code-set.ts';
import type { CodeSet } from './code-set.ts';
import type { RegexNode } from './regex-ast.ts';

/** Whether some text can hold up the backtracking engine for longer than anybody waits. */
export function canExplode(node: RegexNode): boolean {
  switch (node.kind) {
    case 'sequence':
      return node.items.some(canExplode);
    case 'choice':
      return node.options.some(canExplode);
    case 'capture':
    case 'atomic':
    case 'look':
      return canExplode(node.node);
    case 'repeat':
      if (node.max === Infinity && node.mode !== 'possessive' && roundsBlur(node.node)) return true;
      return canExplode(node.node);
    case 'set':
    case 'anchor':
    case 'reference':
      return false;
  }
}

/** Whether a round of a repeat holds a repeat itself, and nothing that separates the rounds. */
function roundsBlur(round: RegexNode): boolean {
  if (round.kind === 'choice') return round.options.some(roundsBlur);
  if (round.kind === 'capture') return roundsBlur(round.node);
  const repeated = repeatedIn(round);
  if (repeated === undefined) return false;
  const items = round.kind === 'sequence' ? round.items : [round];
  return !items.some((item) => separates(item, repeated));
}

/** Whether an item must match once, and nothing that the inner repeats match. */
function separates(item: RegexNode, repeated: CodeSet): boolean {
  if (item.kind === 'capture') return separates(item.node, repeated);
  return item.kind === 'set' && !intersects(item.set, repeated);
}

/** All that repeats without bound in a node may take; undefined when there is none. What is atomic is not tried again. */
function repeatedIn(node: RegexNode): CodeSet | undefined {
  switch (node.kind) {
    case 'sequence':
      return merged(node.items.map(repeatedIn));
    case 'choice':
      return merged(node.options.map(repeatedIn));
    case 'capture':
      return repeatedIn(node.node);
    case 'repeat':
      if (node.mode === 'possessive') return undefined;
      return node.max === Infinity ? taken(node.node) : repeatedIn(node.node);
    case 'set':
    case 'atomic':
    case 'look':
    case 'anchor':
    case 'reference':
      return undefined;
  }
}

/** Every character that a node may take. */
function taken(node: RegexNode): CodeSet {
  switch (node.kind) {
    case 'set':
      return node.set;
    case 'sequence':
      return union(...node.items.map(taken));
    case 'choice':
      return union(...node.options.map(taken));
    case 'capture':
    case 'atomic':
    case 'repeat':
      return taken(node.node);
    case 'look':
    case 'anchor':
    case 'reference':
      return [];
  }
}

function merged(sets: readonly (CodeSet | undefined)[]): CodeSet | undefined {
  const found = sets.filter((set) => set !== undefined);
  return found.length === 0 ? undefined : union(...found);
}
