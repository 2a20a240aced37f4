/** Tags that come with a request: from the path of its URL, or from a key of a record. */
import { Refusal } from './refusal.ts';

const MAX_LENGTH = 256;
const ALLOWED = /^[A-Za-z0-9._/-]+$/;

/**
 * The tag in a request's target, as in Fluent Bit: `/some/path.log` is `some_path.log`. Undefined for `/`. Throws {@link Refusal}.
 */
export function tagFromPath(target: string): string | undefined {
  const path = target.replace(/[?#].*$/s, '').replace(/^\//, '');
  if (path === '') return undefined;
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    throw new Refusal(400, 'The path of the URL is not valid percent-encoding.');
  }
  // Each byte for itself: that is how long Fluent Bit's tag would be.
  const tag = Buffer.from(decoded)
    .toString('latin1')
    .replaceAll(/[^A-Za-z0-9_.]/g, '_');
  if (tag.length > MAX_LENGTH)
    throw new Refusal(400, `The path of the URL makes a tag of more than ${MAX_LENGTH} characters.`);
  return tag;
}

/** Checks a tag that stands in a record. Throws {@link Refusal}. */
export function checkTag(tag: string, key: string): void {
  if (tag.length <= MAX_LENGTH && ALLOWED.test(tag)) return;
  throw new Refusal(
    400,
    `The key ${key} of a record holds no tag: ${MAX_LENGTH} characters of A-Z, a-z, 0-9, ".", "_", "/" and "-" at most are allowed.`,
  );
}
