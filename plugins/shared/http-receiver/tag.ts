/** Tags that stand in a record. */
import { Refusal } from './refusal.ts';

/** Characters of a tag that comes with a request. */
export const MAX_TAG_LENGTH = 256;
const ALLOWED = /^[A-Za-z0-9._/-]+$/;

/** Checks a tag that stands in a record. Throws {@link Refusal}. */
export function checkTag(tag: string, key: string): void {
  if (tag.length <= MAX_TAG_LENGTH && ALLOWED.test(tag)) return;
  throw new Refusal(
    400,
    `The key ${key} of a record holds no tag: ${MAX_TAG_LENGTH} characters of A-Z, a-z, 0-9, ".", "_", "/" and "-" at most are allowed.`,
  );
}
