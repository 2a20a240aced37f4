/** The tag in the path of a request's URL. */
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import { MAX_TAG_LENGTH } from '../../shared/http-receiver/tag.ts';

/**
 * The tag in a request's target, as in Fluent Bit: `/some/path.log` is `some_path.log`. Undefined for `/`. Throws {@link Refusal}.
 */
export function tagFromPath(target: string): string | undefined {
  const path = target.replace(/[?#].*$/s, '').replace(/^\//, '');
  if (path === '') return undefined;
  // As it stands there: `%20` is `_20`.
  const tag = path.replaceAll(/[^A-Za-z0-9_.]/g, '_');
  if (tag.length > MAX_TAG_LENGTH)
    throw new Refusal(400, `The path of the URL makes a tag of more than ${MAX_TAG_LENGTH} characters.`);
  return tag;
}
