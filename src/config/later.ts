/** What Fluent Bit has and Tailrace does not have yet: checked as far as it is known, then refused, never ignored. */
import { readBoolean } from './units.ts';
import type { Problems } from './problem.ts';
import type { PipelineKind } from './shared-options.ts';
import type { ConfigNode, Located } from './tree.ts';

/** Keys of inputs for records of several lines. The off value of a switch asks for nothing. */
const MULTILINE = [
  'multiline',
  'multiline.parser',
  'multiline_flush',
  'parser_firstline',
  'docker_mode',
  'docker_mode_flush',
  'docker_mode_parser',
];

export const LATER_KEYS: Readonly<Record<PipelineKind, readonly string[]>> = {
  input: MULTILINE,
  filter: [],
  output: [],
};

/** Says that a key is not there yet; undefined when the key is no such. */
export function laterKey(
  keys: readonly string[],
  key: string,
  value: ConfigNode,
  { node, path }: Located,
  problems: Problems,
): 'refused' | 'noted' | undefined {
  const lower = key.toLowerCase();
  if (!keys.includes(lower)) return undefined;
  const off =
    value.kind === 'scalar' && ['multiline', 'docker_mode'].includes(lower) && readBoolean(value.text);
  if (off !== false && off.ok && !off.value) {
    problems.note(node.place, path, 'has no effect: records of several lines are off anyway');
    return 'noted';
  }
  problems.report(node.place, path, 'Tailrace does not have records of several lines yet: remove the line');
  return 'refused';
}
