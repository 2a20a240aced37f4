/** The input against a stand-in for the API server; `test/services/kubernetes-logs.test.ts` is the same with the real one. */
import { rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import definition from '../../../../plugins/inputs/kubernetes_logs.ts';
import type { Parser } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import type { LoggedContainer } from '../../../support/kubelet.ts';
import { Node } from './harness.ts';

const lines = (count: number, text = 'line'): string[] =>
  Array.from({ length: count }, (_, n) => `${text} ${n}`);

/** As a regex parser would be, of lines `LEVEL: text`. */
const levels: Parser = {
  name: 'levels',
  parse(line, into) {
    const [, level, text] = /^(\w+): (.*)$/.exec(line) ?? [];
    if (level === undefined || text === undefined) return false;
    into.record = { level, text };
    into.text = undefined;
    into.seconds = Number.NaN;
    return true;
  },
  failure: () => 'It has no level.',
};

describe('kubernetes_logs', () => {
  it('reads the log of a container with the metadata of its pod, under a tag of its names', async () => {
    const node = await Node.open();
    const web = node.run(
      { namespace: 'shop', pod: 'web-1', container: 'nginx' },
      { labels: { app: 'web' }, podIp: '10.1.1.1' },
    );
    web.write(['hello'], 'stdout', new Date('2026-11-27T10:00:00.123Z'));
    web.write(['oh'], 'stderr');
    await node.start();
    await node.collector.reached(2);
    expect(node.collector.events[0]).toEqual({
      tag: 'kube.shop.web-1.nginx',
      record: {
        time: '2026-11-27T10:00:00.123000000Z',
        stream: 'stdout',
        _p: 'F',
        log: 'hello',
        kubernetes: {
          pod_name: 'web-1',
          namespace_name: 'shop',
          pod_id: web.uid,
          labels: { app: 'web' },
          host: 'node-1',
          pod_ip: '10.1.1.1',
          container_name: 'nginx',
          docker_id: web.id,
          container_hash: 'registry.local/nginx@sha256:abc',
          container_image: 'registry.local/nginx:1',
        },
      },
      seconds: Date.parse('2026-11-27T10:00:00Z') / 1000,
      nanos: 123_000_000,
      metadata: undefined,
    });
    expect(node.records[1]).toMatchObject({ stream: 'stderr', log: 'oh' });
  });

  it('reads logs of Docker as well, and joins the parts of long lines of both', async () => {
    const node = await Node.open();
    const old = node.run({ namespace: 'shop', pod: 'old' });
    const entry = (log: string): string =>
      `${JSON.stringify({ log, stream: 'stdout', time: '2026-11-27T10:00:00.5Z' })}\n`;
    writeFileSync(old.file, entry('one, ') + entry('two\n') + entry('three\n'));
    const cri = node.run({ namespace: 'shop', pod: 'cri' });
    writeFileSync(
      cri.file,
      [
        '2026-11-27T10:00:00.1Z stdout P uno, ',
        '2026-11-27T10:00:00.2Z stderr F err',
        '2026-11-27T10:00:00.3Z stdout F due\n',
      ].join('\n'),
    );
    await node.start();
    await node.collector.reached(4);
    const of = (pod: string): unknown[] =>
      node.records
        .filter(({ kubernetes }) => (kubernetes as { pod_name: string }).pod_name === pod)
        .map(({ log }) => String(log).trimEnd());
    expect(of('old')).toEqual(['one, two', 'three']);
    expect(of('cri').toSorted()).toEqual(['err', 'uno, due']);
  });

  it('can have the tag of a tail input', async () => {
    const node = await Node.open();
    node.run({ namespace: 'shop', pod: 'web' }).write(['hello']);
    await node.start({}, 'kube.*');
    await node.collector.reached(1);
    expect(node.collector.events[0]?.tag).toMatch(/^kube\..*\.containers\.web_shop_main-[0-9a-f]{64}\.log$/);
  });

  it('holds a file back until its pod is known, and no other for it', async () => {
    const node = await Node.open();
    // Only the watch says what is there.
    node.api.refuse.set('get', 403);
    const late = node.kubelet.start({ namespace: 'shop', pod: 'late' });
    late.write(['first']);
    node.run({ namespace: 'shop', pod: 'known' }).write(['other']);
    await node.start({ kube_meta_wait: '60s' });
    await node.collector.reached(1);
    expect(node.logs).toEqual(['other']);
    node.api.putPod({ namespace: 'shop', name: 'late', uid: late.uid, labels: { is: 'late' } });
    await node.collector.reached(2);
    expect(node.records[1]).toMatchObject({ log: 'first', kubernetes: { labels: { is: 'late' } } });
    expect(node.metric('tailrace_kubernetes_records_without_metadata_total')).toBe(0);
  });

  it('keeps what a pod wrote that is deleted before it is known, and its labels', async () => {
    const node = await Node.open();
    node.api.refuse.set('get', 403);
    await node.start({ kube_meta_wait: '60s', rotate_wait: '0' });
    node.run({ namespace: 'shop', pod: 'steady' }).write(['steady']);
    await node.collector.reached(1);
    const short = node.kubelet.start({ namespace: 'shop', pod: 'short' });
    short.write(lines(10));
    await node.until(() => node.metric('tailrace_input_open_files') === 2);
    short.remove();
    node.api.putPod({ namespace: 'shop', name: 'short', uid: short.uid, labels: { lived: 'a second' } });
    node.api.deletePod('short', 'shop');
    await node.collector.reached(11);
    expect(node.logs.slice(1)).toEqual(lines(10));
    for (const { kubernetes } of node.records.slice(1))
      expect(kubernetes).toMatchObject({ labels: { lived: 'a second' } });
  });

  it('keeps it also where more files are open than the limit allows', async () => {
    const node = await Node.open();
    node.api.refuse.set('get', 403);
    const short = node.kubelet.start({ namespace: 'shop', pod: 'short' });
    short.write(lines(10));
    await node.start({ kube_meta_wait: '60s', rotate_wait: '0', open_files_limit: '1' });
    await node.until(() => node.metric('tailrace_input_open_files') === 1);
    node.run({ namespace: 'shop', pod: 'steady' }).write(['steady']);
    await node.collector.reached(1);
    short.remove();
    node.api.putPod({ namespace: 'shop', name: 'short', uid: short.uid });
    await node.collector.reached(11);
    expect(node.logs.slice(1)).toEqual(lines(10));
    await node.until(() => node.metric('tailrace_input_open_files') === 1);
  });

  it('tells by file, and counts, what is lost where too many wait for their pods', async () => {
    const node = await Node.open();
    node.api.refuse.set('get', 403);
    await node.start({ kube_meta_wait: '60s', rotate_wait: '0', open_files_limit: '1' });
    const pods = [];
    for (const pod of ['a', 'b', 'c']) {
      const log = node.kubelet.start({ namespace: 'shop', pod });
      log.write(lines(10, pod));
      pods.push(log);
      await node.until(() => node.metric('tailrace_input_files_opened_total') === pods.length);
    }
    // Twice as many as the limit are held; the oldest is not, and more is written to it.
    const [oldest, ...others] = pods as [LoggedContainer, ...LoggedContainer[]];
    expect(node.metric('tailrace_input_open_files')).toBe(2);
    oldest.write(lines(10, 'more'));
    const { size } = statSync(oldest.file);
    const all = pods.reduce((sum, { file }) => sum + statSync(file).size, 0);
    await node.until(() => node.metric('tailrace_input_file_lag_bytes') === all);
    for (const pod of pods) {
      pod.remove();
      node.api.putPod({ namespace: 'shop', name: pod.pod, uid: pod.uid });
    }
    await node.collector.reached(20);
    expect(node.logs).toEqual(others.flatMap(({ pod }) => lines(10, pod)));
    await node.until(() => node.metric('tailrace_input_lost_bytes_total') > 0);
    expect(node.metric('tailrace_input_lost_bytes_total', { reason: 'source_gone' })).toBe(size);
    expect(node.context.log.lines.filter(({ fields }) => fields?.['bytes'] !== undefined)).toMatchObject([
      { fields: { file: oldest.link, bytes: size } },
    ]);
  });

  it('a deleted file whose pod is not known keeps no other waiting, and is read at a stop', async () => {
    const node = await Node.open();
    node.api.refuse.set('get', 403);
    const steady = node.run({ namespace: 'shop', pod: 'steady' });
    steady.write(['steady']);
    const stop = await node.start({ kube_meta_wait: '1h', rotate_wait: '0' });
    await node.collector.reached(1);
    const short = node.kubelet.start({ namespace: 'shop', pod: 'short' });
    short.write(lines(10));
    await node.until(() => node.metric('tailrace_input_open_files') === 2);
    short.remove();
    // Longer than a deleted file has before it is seen to.
    for (let n = 0; n < 4; n++) {
      await pause(1000);
      steady.write([`later ${n}`]);
      await node.collector.reached(2 + n);
    }
    await stop();
    expect(node.logs.slice(5)).toEqual(lines(10));
    expect(node.collector.events.at(-1)?.metadata).toEqual({ kubernetes_metadata: 'unknown' });
  });

  it('goes on without metadata after a while, flags the records beside themselves, and counts them', async () => {
    const node = await Node.open();
    node.api.silent = true;
    node.kubelet.start({ namespace: 'shop', pod: 'web' }).write(lines(3));
    await node.start({ kube_meta_wait: '0.05s' });
    await node.collector.reached(3);
    expect(node.logs).toEqual(lines(3));
    for (const { record, metadata } of node.collector.events) {
      expect(record).not.toHaveProperty('kubernetes');
      expect(metadata).toEqual({ kubernetes_metadata: 'unknown' });
    }
    expect(node.metric('tailrace_kubernetes_records_without_metadata_total', { reason: 'unknown' })).toBe(3);
  });

  it('tells pods of one name apart', async () => {
    const node = await Node.open();
    const first = node.run({ namespace: 'shop', pod: 'db-0' }, { labels: { is: 'first' } });
    first.write(['a']);
    await node.start();
    await node.collector.reached(1);
    node.api.deletePod('db-0', 'shop');
    const second = node.run({ namespace: 'shop', pod: 'db-0' }, { labels: { is: 'second' } });
    second.write(['b']);
    await node.collector.reached(2);
    first.write(['c']);
    await node.collector.reached(3);
    expect(
      node.records.map(({ log, kubernetes }) => [log, (kubernetes as { pod_id: string }).pod_id]),
    ).toEqual([
      ['a', first.uid],
      ['b', second.uid],
      ['c', first.uid],
    ]);
  });

  it('reads the namespaces that are wanted, and nothing that a kubelet would not call so', async () => {
    const node = await Node.open();
    for (const namespace of ['shop', 'shop-test', 'bank', 'kube-system'])
      node.run({ namespace, pod: 'web' }).write([namespace]);
    writeFileSync(join(node.kubelet.root, 'containers', 'web_shop_x.log'), 'forged\n');
    await node.start({ namespaces: 'shop*,kube-*', exclude_namespaces: 'kube-system' });
    await node.collector.reached(2);
    expect(node.logs.toSorted()).toEqual(['shop', 'shop-test']);
  });

  it('does not follow a link out of the directories of logs', async () => {
    const node = await Node.open();
    const web = node.run({ namespace: 'shop', pod: 'web' });
    const forged = node.run({ namespace: 'shop', pod: 'forged' });
    rmSync(forged.link);
    symlinkSync('/etc/hostname', forged.link);
    web.write(['mine']);
    await node.start();
    await node.collector.reached(1);
    expect(node.metric('tailrace_input_files_refused_total', { reason: 'outside' })).toBe(1);
    expect(node.logs).toEqual(['mine']);
  });

  describe('annotations', () => {
    const all = { 'k8s-logging.parser': 'on', 'k8s-logging.exclude': 'on' };

    it('choose a parser', async () => {
      const node = await Node.open([levels]);
      const annotations = { 'tailrace.io/parser_stdout': 'levels' };
      const web = node.run({ namespace: 'shop', pod: 'web' }, { annotations });
      web.write(['warn: hot']);
      web.write(['warn: cold'], 'stderr');
      await node.start({ ...all, merge_log: 'on' });
      await node.collector.reached(2);
      expect(node.records[0]).toMatchObject({ log: 'warn: hot', level: 'warn', text: 'hot' });
      expect(node.records[1]).not.toHaveProperty('level');
    });

    it('leave out a stream, counted', async () => {
      const node = await Node.open();
      const annotations = { 'fluentbit.io/exclude_stderr': 'true' };
      const web = node.run({ namespace: 'shop', pod: 'web' }, { annotations });
      web.write(lines(2, 'err'), 'stderr');
      web.write(lines(2, 'out'));
      await node.start(all);
      await node.collector.reached(2);
      expect(node.logs).toEqual(lines(2, 'out'));
      expect(node.drops).toEqual({ pod_excluded: 2 });
    });

    it('keep a sample, counted, and the same records when they are read again', async () => {
      const node = await Node.open();
      const annotations = { 'tailrace.io/sample': '10%' };
      const web = node.run({ namespace: 'shop', pod: 'web' }, { annotations });
      web.write(lines(2000));
      const end = node.run({ namespace: 'shop', pod: 'zzz' });
      await node.start(all);
      end.write(['end']);
      await node.until(() => (node.drops['pod_sampled'] ?? 0) + node.records.length === 2001);
      expect(node.records.length).toBeGreaterThan(120);
      expect(node.records.length).toBeLessThan(300);
    });

    it('limit a rate, with a summary in the log of the pod', async () => {
      const node = await Node.open();
      const annotations = { 'tailrace.io/rate-limit': '1/h' };
      const web = node.run({ namespace: 'shop', pod: 'web' }, { annotations, labels: { app: 'web' } });
      web.write(lines(100));
      await node.start({ ...all, rotate_wait: '0' });
      await node.until(() => node.drops['pod_rate_limit'] === 99);
      web.remove();
      await node.collector.reached(2);
      expect(node.records[0]).toMatchObject({ log: 'line 0' });
      expect(node.records[1]).toMatchObject({
        log: expect.stringMatching(/^tailrace: 99 records of this pod were left out within /) as string,
        suppressed: { records: 99 },
        kubernetes: { labels: { app: 'web' } },
      });
      expect(node.metric('tailrace_kubernetes_suppressed_records_total', { namespace: 'shop' })).toBe(99);
    });

    it('limit a rate, and a summary that waits for room keeps no deleted file waiting', async () => {
      let skipped = 0;
      const now = performance.now.bind(performance);
      const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + skipped);
      onTestFinished(() => clock.mockRestore());
      const node = await Node.open();
      const annotations = { 'tailrace.io/rate-limit': '1/h' };
      const web = node.run({ namespace: 'shop', pod: 'web' }, { annotations });
      web.write(lines(100));
      await node.start({ ...all, rotate_wait: '0' });
      await node.until(() => node.drops['pod_rate_limit'] === 99);
      node.collector.fill();
      // Until the next summary is due.
      skipped = 20_000;
      await node.collector.reached(2);
      expect(node.records[1]).toHaveProperty('suppressed');
      const short = node.run({ namespace: 'shop', pod: 'short' });
      short.write(lines(3));
      await node.until(() => node.metric('tailrace_input_open_files') === 2);
      short.remove();
      await node.collector.reached(5);
      expect(node.logs.slice(2)).toEqual(lines(3));
      node.collector.drain();
    });

    it('have no effect where the administrator does not allow them', async () => {
      const node = await Node.open();
      const annotations = { 'fluentbit.io/exclude': 'true', 'tailrace.io/sample': '1%' };
      node.run({ namespace: 'shop', pod: 'web' }, { annotations }).write(lines(20));
      await node.start({ 'k8s-logging.exclude': 'on', 'k8s-logging.namespaces': 'bank' });
      await node.collector.reached(20);
      expect(node.drops).toEqual({});
      expect(node.metric('tailrace_kubernetes_refused_annotations_total', { reason: 'namespace' })).toBe(2);
    });
  });

  it('holds each pod to its quota, and the others are not touched by it', async () => {
    const node = await Node.open();
    const loud = { namespace: 'shop', pod: 'loud' };
    const main = node.run({ ...loud, container: 'main' });
    node.kubelet.start({ ...loud, uid: main.uid, container: 'side' }).write(lines(500, 'side'));
    main.write(lines(500));
    const calm = node.run({ namespace: 'bank', pod: 'calm' });
    calm.write(lines(50, 'calm'));
    await node.start({ pod_rate_limit: '1', pod_rate_burst: '100' });
    await node.until(() => (node.drops['pod_rate_limit'] ?? 0) >= 890 && node.records.length >= 150);
    expect(node.logs.filter((log) => String(log).startsWith('calm'))).toHaveLength(50);
    expect(node.metric('tailrace_kubernetes_suppressed_records_total', { namespace: 'bank' })).toBe(0);
  });

  it('is checked', () => {
    const check = (written: Record<string, string>): string[] =>
      (definition.check?.(optionsOf(definition.options, written), []) ?? []).map(({ key }) => String(key));
    expect(check({})).toEqual([]);
    expect(check({ path: '' })).toEqual(['path']);
    expect(check({ keep_log: 'off' })).toEqual(['keep_log']);
    expect(check({ kube_url: 'ftp://x' })).toEqual(['kube_url']);
  });
});
