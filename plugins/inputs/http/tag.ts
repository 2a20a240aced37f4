/** The tag in the path of a request's URL, and in a record. */
import type { Accessor } from '../../../src/plugin.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import { MAX_TAG_LENGTH } from '../../shared/http-receiver/tag.ts';

/**
 * The tag in a request's target, as in Fluent Bit: `/some/path.log` is `some_path.log`. Undefined for `/`. Throws {@link Refusal}.
 */
export function tagFromPath(target: string): string | undefined {
  const path = target.replace(/[?#].*$/s, '').replace(/^\//, '');
  if (path === '') return undefined;
  // As it stands there: `%20` is `_20`.
  const tag = asTag(path);
  if (tag.length > MAX_TAG_LENGTH)
    throw new Refusal(400, `The path of the URL makes a tag of more than ${MAX_TAG_LENGTH} characters.`);
  return tag;
}

/** Reads a record's tag: a text with `_` for all that may not stand in one. */
export function tagReader(read: Accessor): Accessor {
  return (record) => {
    const value = read(record);
    return typeof value === 'string' ? asTag(value) : value;
  };
}

/** Fluent Bit puts a `_` for every byte. */
function asTag(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_.]/gu, (char) => '_'.repeat(Buffer.byteLength(char)));
}
