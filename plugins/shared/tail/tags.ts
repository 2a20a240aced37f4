/** Tags of files, as Fluent Bit makes them: `*` stands for the path, or `<group>` for what `tag_regex` finds in it. */
import type { TranslatedRegex } from '../../../src/plugin.ts';

/**
 * Compiles the tag; the result gives the tag of a path as shown, undefined where `tag_regex` does not take the path. With `tag_regex` a
 * `*` is itself, unless `starIsPath`.
 */
export function compileTag(
  tag: string,
  tagRegex: TranslatedRegex | undefined,
  { starIsPath = tagRegex === undefined } = {},
): (path: string) => string | undefined {
  const expand = (text: string, path: string): string =>
    starIsPath && text.includes('*') ? clean(text.replace('*', () => path)) : text;
  if (tagRegex === undefined) return (path) => expand(tag, path);
  return (path) => {
    const match = tagRegex.exec(path);
    if (match === null) return undefined;
    const named = tag.replaceAll(/<([^<>]*)>/g, (_, name: string) => {
      const found = match[tagRegex.numbers[tagRegex.groups.indexOf(name)] ?? -1];
      return found === undefined || found === '' ? '_' : found;
    });
    return expand(named, path);
  };
}

/** Dots for slashes, backslashes and colons, never two of them and none at the end; nothing for the first slashes and further `*`. */
function clean(text: string): string {
  return text
    .replaceAll('*', '')
    .replace(/^[/\\:]+/, '')
    .replaceAll(/[/\\:]/g, '.')
    .replaceAll(/\.{2,}/g, '.')
    .replace(/\.$/, '');
}
