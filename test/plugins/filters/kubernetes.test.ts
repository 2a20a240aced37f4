import { describe, expect, it, onTestFinished } from 'vitest';
import kubernetes from '../../../plugins/filters/kubernetes.ts';
import { MISSING_KEY } from '../../../plugins/shared/kubernetes/without-metadata.ts';
import { filterContract, filterProblems, textsOf } from '../../contract/filter.ts';
import type { Written } from '../../contract/filter.ts';
import { KubeStandIn } from '../../support/kube-api.ts';
import { createParser } from '../parsers/parsing.ts';
import { CONTAINER_ID, metadataFiles, startFilter, tagOf } from './kubernetes/cluster.ts';
import { Batch } from '../../../src/event/batch.ts';

filterContract(
  kubernetes,
  [
    [['use_tag_for_meta', 'on']],
    [
      ['use_tag_for_meta', 'on'],
      ['kube_tag_prefix', 't'],
      ['regex_parser', 'whole'],
      ['merge_log', 'on'],
      ['keep_log', 'off'],
    ],
    [
      ['dummy_meta', 'on'],
      ['merge_log', 'on'],
    ],
    [
      ['use_tag_for_meta', 'on'],
      ['use_journal', 'on'],
      ['merge_log', 'on'],
      ['merge_log_key', 'merged'],
    ],
  ],
  [createParser({ name: 'whole', format: 'regex', regex: '^(?<pod_name>.+)$' })],
);

const WITHOUT = 'tailrace_kubernetes_records_without_metadata_total';

async function standIn(): Promise<KubeStandIn> {
  const api = await new KubeStandIn().open();
  onTestFinished(() => api.close());
  return api;
}

describe('with the API server', () => {
  it('adds metadata of the pod and of its namespace, asked for once', async () => {
    const api = await standIn();
    api.putNamespace('shop', { team: 'a' });
    api.putPod({
      namespace: 'shop',
      name: 'web',
      labels: { app: 'web' },
      annotations: { note: 'x' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u' }],
      podIp: '10.1.2.3',
      containers: { app: CONTAINER_ID },
    });
    const { run } = await startFilter({
      kube_url: api.url,
      namespace_labels: 'on',
      owner_references: 'on',
      annotations: 'off',
    });
    const batch = await run(tagOf('web'), ['{"log":"one"}', { log: 'two' }]);
    const added =
      `"kubernetes":{"pod_name":"web","namespace_name":"shop","pod_id":"uid-of-web","labels":{"app":"web"},` +
      `"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-1","uid":"u"}],"host":"node-1",` +
      `"pod_ip":"10.1.2.3","container_name":"app","docker_id":"${CONTAINER_ID}",` +
      `"container_hash":"registry.local/app@sha256:abc","container_image":"registry.local/app:1"},` +
      `"kubernetes_namespace":{"name":"shop","labels":{"team":"a"}}`;
    expect(textsOf(batch)).toEqual([`{"log":"one",${added}}`, `{"log":"two",${added}}`]);
    expect(batch.metadata).toBeUndefined();

    const asked = api.requests.length;
    expect(textsOf(await run(tagOf('web'), ['{"log":"three"}']))).toEqual([`{"log":"three",${added}}`]);
    expect(api.requests).toHaveLength(asked);
  });

  it('is synchronous once the pod is known, and follows its changes', async () => {
    const api = await standIn();
    api.putPod({ namespace: 'shop', name: 'web', labels: { v: '1' }, containers: { app: CONTAINER_ID } });
    const { filter, run } = await startFilter({ kube_url: api.url, kube_node_name: 'node-1' });
    const labelsOf = async (): Promise<unknown> => {
      const batch = await run(tagOf('web'), [{ log: 'x' }]);
      return (batch.record(0)['kubernetes'] as { labels: unknown }).labels;
    };
    expect(await labelsOf()).toEqual({ v: '1' });
    const again = new Batch();
    again.push({ log: 'y' }, undefined, 0, 0);
    expect(filter.process(again, tagOf('web'))).toBeUndefined();
    expect(again.record(0)['kubernetes']).toBeDefined();

    await api.until(() => api.watching === 1);
    api.putPod({ namespace: 'shop', name: 'web', labels: { v: '2' }, containers: { app: CONTAINER_ID } });
    await expect.poll(labelsOf).toEqual({ v: '2' });
    api.deletePod('web', 'shop');
    api.putPod({ namespace: 'shop', name: 'later', containers: { app: CONTAINER_ID } });
    await expect
      .poll(async () => (await run(tagOf('later'), [{}])).record(0)['kubernetes'])
      .toMatchObject({ pod_name: 'later' });
    // The watch has passed its deletion, and its lines are still there to be read.
    expect(await labelsOf()).toEqual({ v: '2' });
  });

  it('records of a pod that is not there go on without, flagged and counted; merged all the same', async () => {
    const api = await standIn();
    const { run, metric, context } = await startFilter({ kube_url: api.url, merge_log: 'on' });
    const batch = await run(tagOf('gone'), ['{"log":"{\\"a\\":1}"}', '{"log":"x"}']);
    expect(textsOf(batch)).toEqual(['{"log":"{\\"a\\":1}","a":1}', '{"log":"x"}']);
    expect(batch.metadata).toEqual([{ [MISSING_KEY]: 'absent' }, { [MISSING_KEY]: 'absent' }]);
    expect(metric(WITHOUT, { reason: 'absent' })).toBe(2);
    expect(context.log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', fields: expect.objectContaining({ pod: 'gone' }) as unknown }),
    );
  });

  it('records wait for an answer for as long as they are told, then go on', async () => {
    const api = await standIn();
    api.silent = true;
    const { run, metric } = await startFilter({ kube_url: api.url, kube_meta_wait: '50ms' });
    const batch = await run(tagOf('web'), ['{"log":"x"}']);
    expect(textsOf(batch)).toEqual(['{"log":"x"}']);
    expect(batch.metadata).toEqual([{ [MISSING_KEY]: 'unknown' }]);
    expect(metric(WITHOUT, { reason: 'unknown' })).toBe(1);
  });

  it('is not asked for names that could not be in it', async () => {
    const api = await standIn();
    const whole = createParser({
      name: 'any',
      format: 'regex',
      regex: '^(?<namespace_name>.+)_(?<pod_name>.+)$',
    });
    const { run, metric } = await startFilter(
      { kube_url: api.url, regex_parser: 'any', kube_tag_prefix: 'k.', namespace_labels: 'on' },
      [whole],
    );
    for (const tag of ['k.a/../secrets_x', 'k.ns_x/../../y', 'k.ns_x?watch=1', 'k.ns_%2e%2e']) {
      expect((await run(tag, [{ log: 'x' }])).record(0)).not.toHaveProperty('kubernetes');
    }
    expect(api.requests.filter((request) => !request.endsWith('/namespaces/ns'))).toEqual([]);
    expect(metric(WITHOUT, { reason: 'tag' })).toBe(4);
  });
});

describe('a tag', () => {
  it('that does not match passes as it is, flagged and counted', async () => {
    const { run, metric } = await startFilter({ use_tag_for_meta: 'on', merge_log: 'on' });
    const batch = await run('some.other.tag.that.is.long.enough', ['{"log":"{\\"a\\":1}"}']);
    expect(textsOf(batch)).toEqual(['{"log":"{\\"a\\":1}"}']);
    expect(batch.metadata).toEqual([{ [MISSING_KEY]: 'tag' }]);
    await run('short', ['{}']);
    expect(metric(WITHOUT, { reason: 'tag' })).toBe(2);
  });

  it('says by itself what use_tag_for_meta wants', async () => {
    const { run } = await startFilter({ use_tag_for_meta: 'on' });
    expect(textsOf(await run(tagOf('web.a-1'), ['{"log":"x"}']))).toEqual([
      `{"log":"x","kubernetes":{"pod_name":"web.a-1","namespace_name":"shop","container_name":"app","docker_id":"${CONTAINER_ID}"}}`,
    ]);
  });

  it('with another prefix is cut by its length as in Fluent Bit, and told', async () => {
    const { run, context } = await startFilter({ use_tag_for_meta: 'on' });
    const batch = await run(tagOf('web').replace('kube.var', 'k8s.var'), ['{}']);
    expect(batch.record(0)['kubernetes']).toMatchObject({ pod_name: 'eb' });
    expect(context.log.lines[0]?.message).toMatch(/does not begin with kube_tag_prefix/);
  });

  it('is taken apart by a parser of the administrator', async () => {
    const parser = createParser({
      name: 'own',
      format: 'regex',
      regex: '^(?<namespace_name>[^.]+)\\.(?<pod_name>[^.]+)$',
    });
    const { run } = await startFilter(
      { use_tag_for_meta: 'on', regex_parser: 'own', kube_tag_prefix: 'kube.' },
      [parser],
    );
    expect((await run('kube.shop.web', [{}])).record(0)).toEqual({
      kubernetes: { pod_name: 'web', namespace_name: 'shop' },
    });
  });
});

describe('annotations of pods', () => {
  const parsers = [
    createParser({ name: 'words', format: 'regex', regex: '^(?<first>\\S+) (?<rest>.*)$' }),
    createParser({ name: 'json', format: 'json' }),
  ];

  async function texts(
    annotations: Record<string, string>,
    options: Record<string, string>,
    records: readonly string[],
  ): Promise<string[]> {
    const directory = metadataFiles({ 'shop_web.meta': { metadata: { annotations } } });
    const { run } = await startFilter(
      {
        kube_meta_preload_cache_dir: directory,
        kube_url: 'http://127.0.0.1:1',
        annotations: 'off',
        ...options,
      },
      parsers,
    );
    const batch = await run(tagOf('web'), records);
    return textsOf(batch).map((text) => text.replace(/,?"kubernetes":\{[^}]*\}/, ''));
  }

  const STREAMS = [
    '{"log":"a b","stream":"stdout"}',
    '{"log":"a b","stream":"stderr"}',
    '{"log":"a b"}',
    '{"log":"a b","stream":7}',
  ];

  it('leave out a stream, where they may', async () => {
    const annotations = { 'fluentbit.io/exclude_stdout': 'true' };
    expect(await texts(annotations, { 'k8s-logging.exclude': 'on' }, STREAMS)).toEqual(STREAMS.slice(1));
    expect(await texts(annotations, {}, STREAMS)).toEqual(STREAMS);
    const elsewhere = { 'k8s-logging.exclude': 'on', 'k8s-logging.namespaces': 'other' };
    expect(await texts(annotations, elsewhere, STREAMS)).toEqual(STREAMS);
  });

  it('leave out everything of a container', async () => {
    const on = { 'k8s-logging.exclude': 'on' };
    expect(await texts({ 'tailrace.io/exclude-app': 'on' }, on, STREAMS)).toEqual([]);
    expect(await texts({ 'tailrace.io/exclude-other': 'on' }, on, STREAMS)).toEqual(STREAMS);
  });

  it('choose a parser for a stream, or for both', async () => {
    const options = { 'k8s-logging.parser': 'on', merge_log: 'on', keep_log: 'off' };
    expect(await texts({ 'fluentbit.io/parser_stderr': 'words' }, options, STREAMS.slice(0, 3))).toEqual([
      STREAMS[0],
      '{"stream":"stderr","first":"a","rest":"b"}',
      STREAMS[2],
    ]);
    expect(await texts({ 'fluentbit.io/parser': 'words' }, options, STREAMS.slice(1, 3))).toEqual([
      '{"stream":"stderr","first":"a","rest":"b"}',
      '{"first":"a","rest":"b"}',
    ]);
  });
});

describe('dummy_meta', () => {
  it('adds the time of day, whatever the tag', async () => {
    const { run } = await startFilter({ dummy_meta: 'on' });
    const [text] = textsOf(await run('x', ['{"log":"x"}']));
    expect(text).toMatch(
      /^\{"log":"x","kubernetes":\{"dummy":"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}"\}\}$/,
    );
  });
});

describe('what the configuration check finds', () => {
  const found = (...written: Written): unknown =>
    filterProblems(kubernetes, written).map(({ key, level = 'error' }) => [key, level]);

  it.each<[string, Written, [string, string][]]>([
    ['nothing', [], []],
    ['a URL that is none', [['kube_url', 'kubernetes']], [['kube_url', 'error']]],
    [
      'a URL that is not asked',
      [
        ['kube_url', 'kubernetes'],
        ['use_tag_for_meta', 'on'],
      ],
      [],
    ],
    ['AWS', [['use_pod_association', 'on']], [['aws_use_pod_association', 'error']]],
    [
      'a parser of pods that cannot work',
      [['k8s-logging.parser', 'on']],
      [['k8s-logging.parser', 'warning']],
    ],
    [
      'merging that is off',
      [
        ['merge_parser', 'x'],
        ['merge_log_key', 'y'],
        ['keep_log', 'off'],
      ],
      [
        ['merge_parser', 'warning'],
        ['merge_log_key', 'warning'],
        ['keep_log', 'warning'],
      ],
    ],
    ['nothing to add', [['namespace_metadata_only', 'on']], [['namespace_metadata_only', 'warning']]],
    [
      'namespaces that nobody is asked for',
      [
        ['use_tag_for_meta', 'on'],
        ['namespace_labels', 'on'],
      ],
      [['use_tag_for_meta', 'warning']],
    ],
  ])('%s', (_title, written, problems) => {
    expect(found(...written)).toEqual(problems);
  });

  it('pods choose among all parsers only where they may choose at all', () => {
    const options = (written: Record<string, unknown>) =>
      ({ 'k8s-logging.parser': false, ...written }) as Parameters<
        NonNullable<typeof kubernetes.anyParser>
      >[0];
    expect(kubernetes.anyParser?.(options({}))).toBe(false);
    expect(kubernetes.anyParser?.(options({ 'k8s-logging.parser': true }))).toBe(true);
  });
});
