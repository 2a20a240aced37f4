/**
 * The configuration as it stands in the files, YAML or classic format: maps, lists and texts, each with its place. Scalars are
 * texts as written; what they mean is the business of the option that they are for.
 */
import type { Place } from './source-text.ts';

export interface ScalarNode {
  kind: 'scalar';
  place: Place;
  text: string;
  /** `key:` with nothing behind it. */
  empty: boolean;
  /** The text holds a value that must not be shown. */
  secret: boolean;
  /** A variable in it is not defined, which has been reported: nothing more can be said of the text. */
  unknown?: boolean;
}

export interface ListNode {
  kind: 'list';
  place: Place;
  items: ConfigNode[];
}

export interface MapEntry {
  /** As written. */
  key: string;
  place: Place;
  value: ConfigNode;
}

export interface MapNode {
  kind: 'map';
  place: Place;
  entries: MapEntry[];
}

export type ConfigNode = ScalarNode | ListNode | MapNode;

/** A node and where it stands in the document: `pipeline.inputs[0]`. */
export interface Located<N extends ConfigNode = ConfigNode> {
  node: N;
  path: string;
}

/** The entry with a key, whatever its case. */
export function entryOf(map: MapNode, key: string): MapEntry | undefined {
  return map.entries.find((entry) => entry.key.toLowerCase() === key);
}

/** The text of a key's value, if it is one. */
export function textOf(map: MapNode, key: string): string | undefined {
  const value = entryOf(map, key)?.value;
  return value?.kind === 'scalar' && !value.empty ? value.text : undefined;
}

/** Whether nothing is written there. */
export function isEmpty(node: ConfigNode): boolean {
  return node.kind === 'scalar'
    ? node.empty
    : (node.kind === 'list' ? node.items : node.entries).length === 0;
}

/** What a node is, for a sentence. */
export function describeNode(node: ConfigNode): string {
  if (node.kind === 'map') return 'a map (key: value)';
  if (node.kind === 'list') return 'a list';
  return node.empty ? 'nothing' : `the text ${quote(node)}`;
}

const SHOWN_LENGTH = 80;

/** A value for a message: quoted, cut, hidden if it must be. */
export function quote(node: ScalarNode, secret = false): string {
  return secret || node.secret ? '"***"' : quoteText(node.text);
}

/** A text for a message: quoted and cut. */
export function quoteText(text: string): string {
  return `"${text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text}"`;
}

/** The names in `a, b`. */
export function splitNames(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
