/**
 * From the tag of a message to that of its records. What comes over the wire is checked: it may become a path or an index. There is no way to
 * refuse a message for good, so what a tag may not have is replaced, and counted.
 */
import type { InputContext } from '../../../src/plugin.ts';
import { Rarely } from '../../shared/rarely.ts';

const MAX_LENGTH = 256;
const ALLOWED = /^[A-Za-z0-9._/-]*$/;

export class Tags {
  private readonly prefix: string | undefined;
  private readonly own: string | undefined;
  private readonly context: InputContext;
  private readonly changed: { value: number };
  private readonly rarely = new Rarely();
  /** The last tag that came, and what it became: mostly it comes again. */
  private last = { given: '', tag: '' };

  constructor(options: { tagPrefix: string | undefined; tag: string | undefined }, context: InputContext) {
    this.prefix = options.tagPrefix;
    this.own = options.tag;
    this.context = context;
    this.changed = context.metrics
      .counter(
        'tailrace_input_tags_changed_total',
        'Messages whose tag had characters that a tag may not have, or too many.',
      )
      .labels({ name: context.name });
    this.last.tag = this.make('');
  }

  /** The tag of a message's records. */
  of(given: string): string {
    // As in Fluent Bit, a prefix wins over a tag.
    if (this.prefix === undefined && this.own !== undefined) return this.own;
    if (given !== this.last.given) this.last = { given, tag: this.make(given) };
    return this.last.tag;
  }

  private make(given: string): string {
    const tag = (this.prefix ?? '') + this.checked(given);
    return tag === '' ? this.context.tag : tag;
  }

  private checked(given: string): string {
    if (given.length <= MAX_LENGTH && ALLOWED.test(given)) return given;
    const tag = given.slice(0, MAX_LENGTH).replaceAll(/[^A-Za-z0-9._/-]/g, '_');
    this.changed.value++;
    const count = this.rarely.happened();
    if (count > 0) {
      this.context.log.warn(
        { tag, count },
        `A tag had other characters than A-Z, a-z, 0-9, ".", "_", "/" and "-", or more than ${MAX_LENGTH}; they were replaced`,
      );
    }
    return tag;
  }
}
