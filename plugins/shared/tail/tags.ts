/** Tags of files: `*` stands for the path with dots for slashes, `<group>` for what `tag_regex` finds in the path. */
import type { TranslatedRegex } from '../../../src/plugin.ts';

/** Compiles the tag; the result gives the tag of a path as shown, undefined where `tag_regex` does not take the path. */
export function compileTag(
  tag: string,
  tagRegex: TranslatedRegex | undefined,
): (path: string) => string | undefined {
  const expand = (text: string, path: string): string =>
    text.replaceAll('*', () => path.replace(/^(?:\.?\/)+/, '').replaceAll('/', '.'));
  if (tagRegex === undefined) return tag.includes('*') ? (path) => expand(tag, path) : () => tag;
  return (path) => {
    const match = tagRegex.exec(path);
    if (match === null) return undefined;
    const group = (all: string, name: string): string =>
      match[tagRegex.numbers[tagRegex.groups.indexOf(name)] ?? -1] ?? all;
    return expand(tag.replaceAll(/<(\w+)>/g, group), path);
  };
}
