/**
 * What pods may say about their own logs: as much as the administrator allows, and never more. Whatever is wrong or not allowed is
 * counted, said once for each pod, and has no effect.
 */
import { boolean, csv } from '../../../src/plugin.ts';
import type { OptionValues, Parser, PluginContext } from '../../../src/plugin.ts';
import { readAnnotations } from './annotations.ts';
import type { Property, RefusedAnnotation, Refusal, Stream, StreamSettings } from './annotations.ts';
import type { Pod } from './pods.ts';

export const policyOptions = {
  'k8s-logging.parser': boolean()
    .default(false)
    .describe(
      'Pods may choose a parser, by the annotation `fluentbit.io/parser` or `tailrace.io/parser`; with the input `kubernetes_logs` also one that takes the first lines of their records, by `tailrace.io/multiline`.',
    ),
  'k8s-logging.exclude': boolean()
    .default(false)
    .describe(
      'Pods may leave out lines of theirs, by the annotation `fluentbit.io/exclude` or `tailrace.io/exclude`.',
    ),
  'k8s-logging.namespaces': csv()
    .optional()
    .describe(
      'Only pods of these namespaces may; `*` stands for any characters. Without it those of all namespaces.',
    ),
  'k8s-logging.parsers': csv()
    .optional()
    .describe(
      'Pods may choose only these parsers. Without it every one that there is, stock parsers included.',
    ),
};

type PolicyValues = OptionValues<typeof policyOptions>;

/** What holds for a stream of a container. */
export interface StreamPolicy extends Omit<StreamSettings, 'parser' | 'multiline'> {
  parser?: Parser;
  /** Takes the first line of each record. */
  multiline?: Parser;
}

export type ContainerPolicy = Readonly<Record<Stream, StreamPolicy>>;

/** Whose permission a property needs. */
const PERMISSION: Readonly<Record<Property, 'k8s-logging.parser' | 'k8s-logging.exclude'>> = {
  parser: 'k8s-logging.parser',
  multiline: 'k8s-logging.parser',
  exclude: 'k8s-logging.exclude',
  sample: 'k8s-logging.exclude',
  'rate-limit': 'k8s-logging.exclude',
};

const REASONS: Readonly<Record<Refusal, string>> = {
  unknown: 'there is no such annotation',
  value: 'its value is wrong',
  parser: 'there is no such parser, or pods may not choose it',
  forbidden: 'the configuration does not allow it',
  namespace: 'the configuration does not allow it in this namespace',
  unsupported: 'this plugin does not have it',
};

/** Of a refused value in the log, characters: it may have 256 KiB. */
const SHOWN = 200;

/** Pods are forgotten when so many annotations were refused; then each is told once more. */
const REMEMBERED = 10_000;

export class AnnotationPolicy {
  private readonly options: PolicyValues;
  private readonly context: PluginContext;
  private readonly honoured: readonly Property[];
  private readonly namespaces: readonly RegExp[] | undefined;
  private readonly parsers = new Map<string, Parser | undefined>();
  private readonly told = new Set<string>();
  private readonly refusals;

  /** `honoured`: what the plugin knows how to do. */
  constructor(options: PolicyValues, context: PluginContext, honoured: readonly Property[]) {
    this.options = options;
    this.context = context;
    this.honoured = honoured;
    this.namespaces = options['k8s-logging.namespaces']?.map(wildcard);
    this.refusals = context.metrics.counter(
      'tailrace_kubernetes_refused_annotations_total',
      'Annotations of pods about their logs that have no effect, once for each pod, by reason.',
    );
  }

  /** What the pod's annotations make of the logs of one of its containers. */
  of(pod: Pod, container: string | undefined): ContainerPolicy {
    const { stdout, stderr, refused } = readAnnotations(pod.annotations ?? {}, container, (property, value) =>
      this.judge(pod.namespace, property, value),
    );
    for (const one of refused) this.tell(pod, one);
    return { stdout: this.resolve(stdout), stderr: this.resolve(stderr) };
  }

  private judge(namespace: string, property: Property, value: string): Refusal | undefined {
    if (!this.honoured.includes(property)) return 'unsupported';
    if (!this.options[PERMISSION[property]]) return 'forbidden';
    if (this.namespaces?.every((allowed) => !allowed.test(namespace)) === true) return 'namespace';
    const namesParser = property === 'parser' || property === 'multiline';
    return namesParser && this.parser(value) === undefined ? 'parser' : undefined;
  }

  private parser(name: string): Parser | undefined {
    if (this.options['k8s-logging.parsers']?.includes(name) === false) return undefined;
    const known = this.parsers.get(name);
    if (known !== undefined) return known;
    const parser = this.context.findParser(name);
    if (parser !== undefined) this.parsers.set(name, parser);
    return parser;
  }

  private resolve({ parser, multiline, ...rest }: StreamSettings): StreamPolicy {
    const policy: StreamPolicy = rest;
    for (const [key, name] of Object.entries({ parser, multiline })) {
      const found = name === undefined ? undefined : this.parser(name);
      if (found !== undefined) policy[key as 'parser' | 'multiline'] = found;
    }
    return policy;
  }

  private tell(pod: Pod, { annotation, value, refusal }: RefusedAnnotation): void {
    const key = `${pod.uid} ${pod.namespace} ${pod.name} ${annotation}`;
    if (this.told.has(key)) return;
    if (this.told.size >= REMEMBERED) this.told.clear();
    this.told.add(key);
    this.refusals.labels({ name: this.context.name, reason: refusal }).value++;
    this.context.log.warn(
      {
        namespace: pod.namespace,
        pod: pod.name,
        annotation,
        value: value.slice(0, SHOWN),
        reason: REASONS[refusal],
      },
      'An annotation of a pod about its logs has no effect',
    );
  }
}

/** A pattern with `*` for any characters, as an expression for the whole text. */
export function wildcard(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`);
}
