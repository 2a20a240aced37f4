/** One copy of texts that come again and again: labels, images, names of nodes. */

/** Longer ones are rarely the same. Characters. */
const MAX_LENGTH = 256;
const MAX_TEXTS = 10_000;

export class StringPool {
  private readonly texts = new Map<string, string>();

  share(text: string): string {
    if (text.length > MAX_LENGTH) return text;
    const known = this.texts.get(text);
    if (known !== undefined) return known;
    // What is shared stays so; only what comes later has copies of its own.
    if (this.texts.size >= MAX_TEXTS) this.texts.clear();
    this.texts.set(text, text);
    return text;
  }
}
