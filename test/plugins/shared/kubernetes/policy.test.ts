import { describe, expect, it } from 'vitest';
import { AnnotationPolicy, policyOptions } from '../../../../plugins/shared/kubernetes/policy.ts';
import type { Pod } from '../../../../plugins/shared/kubernetes/pods.ts';
import { filterContext } from '../../../contract/filter.ts';
import { optionsOf } from '../../../contract/support.ts';
import { createParser } from '../../parsers/parsing.ts';

const PARSERS = [
  createParser({ name: 'one', format: 'json' }),
  createParser({ name: 'two', format: 'json' }),
];

function podWith(annotations: Record<string, string>, namespace = 'team-a', name = 'pod'): Pod {
  return {
    namespace,
    name,
    uid: `uid-${name}`,
    labels: {},
    annotations,
    ownerReferences: [],
    containers: [],
  };
}

function policyOf(written: Record<string, string>) {
  const context = filterContext([], PARSERS);
  const policy = new AnnotationPolicy(optionsOf(policyOptions, written), context, [
    'parser',
    'exclude',
    'sample',
  ]);
  const refused = (reason: string): number =>
    context.metrics
      .counter('tailrace_kubernetes_refused_annotations_total', '')
      .sum({ name: 'filter.0', reason });
  return { policy, refused, lines: context.log.lines };
}

const BOTH = { 'fluentbit.io/parser': 'one', 'fluentbit.io/exclude_stderr': 'true' };

describe('what the administrator allows', () => {
  it('is nothing unless it is switched on', () => {
    const { policy, refused, lines } = policyOf({});
    expect(policy.of(podWith(BOTH), 'app')).toEqual({ stdout: {}, stderr: {} });
    expect(refused('forbidden')).toBe(2);
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'warn']);
    expect(lines[0]?.fields).toMatchObject({
      namespace: 'team-a',
      pod: 'pod',
      annotation: 'fluentbit.io/parser',
    });
  });

  it('is said with a part of long values', () => {
    const { policy, lines } = policyOf({});
    policy.of(podWith({ 'tailrace.io/parser': 'x'.repeat(200_000) }), 'app');
    expect(JSON.stringify(lines).length).toBeLessThan(1000);
  });

  it('is each by itself', () => {
    const { policy } = policyOf({ 'k8s-logging.parser': 'on' });
    expect(policy.of(podWith(BOTH), 'app')).toMatchObject({ stdout: { parser: { name: 'one' } } });
    expect(policy.of(podWith(BOTH), 'app').stderr.exclude).toBeUndefined();
    const other = policyOf({ 'k8s-logging.exclude': 'on' }).policy;
    expect(other.of(podWith({ ...BOTH, 'tailrace.io/sample': '0.5' }), 'app')).toEqual({
      stdout: { sample: 0.5 },
      stderr: { exclude: true, sample: 0.5 },
    });
  });

  it('holds in all namespaces, or in those that are named', () => {
    const on = { 'k8s-logging.exclude': 'on' };
    const excludes = (written: Record<string, string>, namespace: string): boolean =>
      policyOf({ ...on, ...written }).policy.of(podWith({ 'tailrace.io/exclude': 'on' }, namespace), 'app')
        .stdout.exclude ?? false;
    expect(excludes({}, 'any')).toBe(true);
    const named = { 'k8s-logging.namespaces': 'team-*, batch' };
    expect(excludes(named, 'team-b')).toBe(true);
    expect(excludes(named, 'batch')).toBe(true);
    expect(excludes(named, 'batch2')).toBe(false);
    expect(excludes(named, 'my-team-b')).toBe(false);
    expect(excludes({ 'k8s-logging.namespaces': '' }, 'any')).toBe(false);
    expect(excludes({ 'k8s-logging.namespaces': '.*' }, 'any')).toBe(false);
  });

  it('are parsers that there are, and of them those that are named', () => {
    const on = { 'k8s-logging.parser': 'on' };
    const { policy, refused } = policyOf(on);
    expect(policy.of(podWith({ 'fluentbit.io/parser': 'none' }), 'app').stdout.parser).toBeUndefined();
    expect(refused('parser')).toBe(1);
    const narrow = policyOf({ ...on, 'k8s-logging.parsers': 'two' });
    expect(narrow.policy.of(podWith({ 'fluentbit.io/parser': 'one' }), 'app').stdout.parser).toBeUndefined();
    expect(
      narrow.policy.of(podWith({ 'fluentbit.io/parser': 'two' }, 'a', 'b'), 'app').stdout.parser?.name,
    ).toBe('two');
  });

  it('pods with the same parser share it', () => {
    const { policy } = policyOf({ 'k8s-logging.parser': 'on' });
    const [a, b] = ['a', 'b'].map((name) => policy.of(podWith(BOTH, 'x', name), 'app').stdout.parser);
    expect(a).toBe(b);
    expect(a).toBeDefined();
  });
});

it('an annotation that the plugin does not have is told once for each pod', () => {
  const { policy, refused, lines } = policyOf({ 'k8s-logging.exclude': 'on' });
  const pod = podWith({ 'tailrace.io/rate-limit': '5' });
  policy.of(pod, 'app');
  policy.of(pod, 'sidecar');
  expect(refused('unsupported')).toBe(1);
  policy.of(podWith({ 'tailrace.io/rate-limit': '5' }, 'team-a', 'other'), 'app');
  expect(refused('unsupported')).toBe(2);
  expect(lines).toHaveLength(2);
});
