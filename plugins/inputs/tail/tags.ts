/** Tags of files: `*` stands for the path with dots for slashes, `<group>` for what `tag_regex` finds in the path. */

/** Compiles the tag; the result gives the tag of a path as shown. */
export function compileTag(tag: string, tagRegex: RegExp | undefined): (path: string) => string {
  if (!tag.includes('*') && tagRegex === undefined) return () => tag;
  return (path) => {
    const groups = tagRegex?.exec(path)?.groups;
    const expanded = groups === undefined ? tag : tag.replaceAll(/<(\w+)>/g, (all, name: string) => groups[name] ?? all);
    return expanded.replaceAll('*', () => path.replace(/^(?:\.?\/)+/, '').replaceAll('/', '.'));
  };
}
