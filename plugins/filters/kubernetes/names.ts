/** Which container a tag, or the CONTAINER_NAME of a journal entry, speaks of. */
import type { ParsedEvent, Parser } from '../../../src/plugin.ts';
import type { NamesFound } from '../../shared/kubernetes/names.ts';

/** Fluent Bit's expression for what follows `kube_tag_prefix`. */
const TAG =
  /(?<pod_name>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)_(?<namespace_name>[^_]+)_(?<container_name>.+)-(?<docker_id>[a-z0-9]{64})\.log$/m;
/** Fluent Bit's for names that dockershim gave containers. */
const JOURNAL =
  /^(?<name_prefix>[^_]+)_(?<container_name>[^._]+)(\.(?<container_hash>[^_]+))?_(?<pod_name>[^_]+)_(?<namespace_name>[^_]+)_[^_]+_[^_]+$/m;

export class NameReader {
  private readonly prefix: string;
  private readonly capture: (text: string) => Readonly<Record<string, unknown>> | undefined;

  /** `parser`: the administrator's own expression. */
  constructor({
    prefix,
    parser,
    isJournal,
  }: {
    prefix: string;
    parser: Parser | undefined;
    isJournal: boolean;
  }) {
    this.prefix = prefix;
    const stock = isJournal ? JOURNAL : TAG;
    this.capture = parser === undefined ? (text) => stock.exec(text)?.groups : captureWith(parser);
  }

  /** The names in a tag; undefined when the expression does not match. The prefix is taken off by its length, as in Fluent Bit. */
  fromTag(tag: string): NamesFound | undefined {
    return tag.length <= this.prefix.length + 1 ? undefined : this.from(tag.slice(this.prefix.length));
  }

  /** The names in a text; undefined when the expression does not match. */
  from(text: string): NamesFound | undefined {
    const groups = this.capture(text);
    if (groups === undefined) return undefined;
    const names: NamesFound = {};
    const take = (key: keyof NamesFound, group: string): void => {
      const value = groups[group];
      if (typeof value === 'string' && value !== '') names[key] = value;
    };
    take('pod', 'pod_name');
    take('namespace', 'namespace_name');
    take('container', 'container_name');
    take('containerId', 'docker_id');
    take('containerHash', 'container_hash');
    return names;
  }

  /** Whether the tag begins with the prefix; else it was cut at a wrong place, most likely. */
  hasPrefix(tag: string): boolean {
    return tag.startsWith(this.prefix);
  }
}

function captureWith(parser: Parser): (text: string) => Readonly<Record<string, unknown>> | undefined {
  const into: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  return (text) => (parser.parse(text, into) ? into.record : undefined);
}
