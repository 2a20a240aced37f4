import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSnapshot } from '../../../../plugins/inputs/kubernetes_events/snapshot.ts';
import { KubeClient } from '../../../../plugins/shared/kubernetes/api/client.ts';
import { KubeStandIn } from '../../../support/kube-api.ts';

const COLLECTION = '/api/v1/namespaces/default/events';

describe('readSnapshot', () => {
  let server: KubeStandIn;
  let client: KubeClient;

  beforeEach(async () => {
    server = await new KubeStandIn().open();
    client = await KubeClient.create(
      {
        host: '127.0.0.1',
        port: server.port,
        tls: undefined,
        tokenFile: undefined,
        tokenCommand: undefined,
        tokenTtlMs: 1000,
        userAgent: 'test',
      },
      () => undefined,
    );
  });

  afterEach(async () => {
    await client.close();
    await server.close();
  });

  const put = (name: string): void =>
    void server.put(COLLECTION, {
      metadata: { name, uid: name, resourceVersion: '' },
      reason: 'x'.repeat(50),
    });

  it('sorts what the pages have, and gives more than it may keep in parts', async () => {
    const names = ['g', 'c', 'a', 'f', 'b', 'e', 'd'];
    for (const name of names) put(name);
    // A change gives it a newer version: it comes last.
    put('g');
    const seen: string[] = [];
    let from = 0;
    let reads = 0;
    for (let isCut = true; isCut; reads++) {
      const snapshot = await readSnapshot(
        {
          client,
          path: '/api/v1/events',
          limit: 2,
          from,
          kept: 400,
          wants: (event) => !JSON.stringify(event).includes('"name":"f"'),
        },
        new AbortController().signal,
      );
      expect(snapshot.reached).toBeGreaterThan(from);
      seen.push(...snapshot.events.map(({ event }) => (event['metadata'] as { name: string }).name));
      ({ isCut, reached: from } = snapshot);
    }
    expect(seen).toEqual(['c', 'a', 'b', 'e', 'd', 'g']);
    expect(reads).toBeGreaterThan(1);
  });
});
