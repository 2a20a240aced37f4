/**
 * What a pod says in its annotations about how its logs are to be read. Fluent Bit's, and ours with the same suffixes:
 *
 *   fluentbit.io/PROPERTY[_stdout|_stderr][-CONTAINER]    parser, exclude
 *   tailrace.io/PROPERTY[_stdout|_stderr][-CONTAINER]     parser, exclude, multiline, sample, rate-limit
 *
 * As in Fluent Bit, one for a container wins over one for all, of several for all the first wins, and one that is invalid or not
 * allowed is as if it were not there. Ours win over Fluent Bit's.
 */
export type Property = 'parser' | 'exclude' | 'multiline' | 'sample' | 'rate-limit';

/** What is said about one stream of a container. */
export interface StreamSettings {
  /** Name of a parser. */
  parser?: string;
  exclude?: boolean;
  /** Name of the parser that takes the first line of each record. */
  multiline?: string;
  /** Share of the lines that is kept, above 0 and up to 1. */
  sample?: number;
  /** Lines per second. */
  rateLimit?: number;
}

export type Stream = 'stdout' | 'stderr';

/** Why an annotation is not heeded. */
export type Refusal = 'unknown' | 'value' | 'parser' | 'forbidden' | 'namespace' | 'unsupported';

export interface RefusedAnnotation {
  annotation: string;
  value: string;
  refusal: Refusal;
}

export interface SaidSettings extends Record<Stream, StreamSettings> {
  refused: RefusedAnnotation[];
}

/** Says why a property with a value may not be set; undefined when it may. */
export type Judge = (property: Property, value: string) => Refusal | undefined;

const FORM = /^(parser|exclude|multiline|sample|rate-limit)(?:_(stdout|stderr))?(?:-(.+))?$/;
const PREFIXES: readonly { prefix: string; knows: (property: string) => boolean }[] = [
  { prefix: 'fluentbit.io/', knows: (property) => property === 'parser' || property === 'exclude' },
  { prefix: 'tailrace.io/', knows: () => true },
];
const SECONDS = { s: 1, m: 60, h: 3600 } as const;

/** Reads the annotations that are about this container. */
export function readAnnotations(
  annotations: Readonly<Record<string, string>>,
  container: string | undefined,
  judge: Judge,
): SaidSettings {
  const refused: RefusedAnnotation[] = [];
  const [theirs, ours] = PREFIXES.map(({ prefix, knows }) => {
    const said = new Said();
    for (const [annotation, value] of Object.entries(annotations)) {
      if (!annotation.startsWith(prefix)) continue;
      const refuse = (refusal: Refusal): void => void refused.push({ annotation, value, refusal });
      const [, property, stream, target] = FORM.exec(annotation.slice(prefix.length)) ?? [];
      if (property === undefined || !knows(property)) refuse('unknown');
      else if (target === undefined || target === container) {
        const refusal =
          judge(property as Property, value) ??
          said.set(property as Property, value, { stream, own: target !== undefined });
        if (refusal !== undefined) refuse(refusal);
      }
    }
    return said;
  });
  return {
    stdout: { ...theirs?.stdout, ...ours?.stdout },
    stderr: { ...theirs?.stderr, ...ours?.stderr },
    refused,
  };
}

/** What the annotations of one prefix said so far. */
class Said {
  readonly stdout: StreamSettings = {};
  readonly stderr: StreamSettings = {};

  /** Takes in one; `own`: it names this container. */
  set(
    property: Property,
    text: string,
    about: { stream: string | undefined; own: boolean },
  ): Refusal | undefined {
    const read = readValue(property, text);
    for (const stream of ['stdout', 'stderr'] as const) {
      if (about.stream !== undefined && about.stream !== stream) continue;
      const { key, value } = read;
      if (value === undefined || (!about.own && this[stream][key] !== undefined)) continue;
      Object.assign(this[stream], { [key]: value });
    }
    return read.valid ? undefined : 'value';
  }
}

function readValue(
  property: Property,
  text: string,
): { key: keyof StreamSettings; value: string | number | boolean | undefined; valid: boolean } {
  switch (property) {
    case 'exclude': {
      const valid = /^(true|on|yes|false|off|no)$/i.test(text);
      // As in Fluent Bit what is neither true nor false is a no, which one for all containers cannot turn round.
      return { key: 'exclude', value: valid && /^(true|on|yes)$/i.test(text), valid };
    }
    case 'sample':
      return checked('sample', readShare(text));
    case 'rate-limit':
      return checked('rateLimit', readRate(text));
    case 'parser':
    case 'multiline':
      return checked(property, text === '' ? undefined : text);
  }
}

function checked<T extends string | number>(
  key: keyof StreamSettings,
  value: T | undefined,
): { key: keyof StreamSettings; value: T | undefined; valid: boolean } {
  return { key, value, valid: value !== undefined };
}

/** `0.1`, or `10%`. */
function readShare(text: string): number | undefined {
  const [, digits, percent] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*$/.exec(text) ?? [];
  const share = Number(digits) / (percent === '%' ? 100 : 1);
  return share > 0 && share <= 1 ? share : undefined;
}

/** `100`, `100/s`, `6000/m` or `100000/h`: lines per second. */
function readRate(text: string): number | undefined {
  const [, digits, unit = 's'] = /^\s*(\d+(?:\.\d+)?)\s*(?:\/\s*([smh]))?\s*$/.exec(text) ?? [];
  const rate = Number(digits) / SECONDS[unit as keyof typeof SECONDS];
  return rate > 0 ? rate : undefined;
}
