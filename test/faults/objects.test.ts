/**
 * Killed at any request of an output that gathers objects (DELIVERY.md, rule 26), before the store has it or after: in the end every record is
 * there once. The store is in the test's process and outlives the agents.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { Bucket } from '../plugins/outputs/s3/bucket.ts';
import { KEYS } from '../plugins/shared/aws/support.ts';
import { seededRandom, test } from '../support/e2e.ts';
import { item, pipeline, QUICK } from '../support/yaml.ts';

const KILLS = 8;
/** Written at a time, and the pause behind them in milliseconds. */
const LINES = 50;
const PAUSE_MS = 10;

test('killed at random requests, before or behind the deed: 0 lost, none twice', async ({ rig }) => {
  const random = seededRandom();
  const bucket = await new Bucket().open();
  try {
    rig.configure(
      pipeline({
        service: { ...QUICK, 'storage.overflow.min_free': 0 },
        inputs: [item('name: tail', ['path: app.*.log', 'tag: app.*', 'read_from_head: true'])],
        outputs: [
          item('name: s3', [
            "match: '*'",
            `bucket: ${bucket.name}`,
            `endpoint: http://127.0.0.1:${bucket.port}`,
            'region: eu-central-1',
            'json_date_key: false',
            'net.proxy_env_ignore: on',
            's3_key_format: /$TAG/$INDEX',
            'total_file_size: 5k',
            'upload_timeout: 100ms',
            'workers: 3',
          ]),
        ],
      }),
    );
    let written = 0;
    for (let round = 0; round <= KILLS; round++) {
      const agent = rig.launch({ env: { ...KEYS, AWS_EC2_METADATA_DISABLED: 'true' } });
      let left = round === KILLS ? Number.POSITIVE_INFINITY : random(12);
      const behind = random(2) === 0;
      bucket.interfere = (request, response) => {
        if (left-- > 0) return false;
        if (behind && left === -1) {
          // The store has it, and the answer never comes.
          const { key } = bucket.put(request) ?? {};
          if (key === undefined) return false;
        }
        agent.signal('SIGKILL');
        response.destroy();
        return true;
      };
      // The writer goes on until the agent is dead: then there are requests enough.
      while (agent.exit === undefined) {
        for (let n = 0; n < LINES; n++)
          appendFileSync(rig.path(`app.${written % 3}.log`), `line ${written++}\n`);
        if (round === KILLS) break;
        await pause(PAUSE_MS);
      }
      if (round < KILLS) continue;
      await agent.running();
      const there = (): string[] =>
        [...bucket.objects.values()]
          .flatMap(({ body }) => body.toString().split('\n').filter(Boolean))
          .map((text) => (JSON.parse(text) as { log: string }).log);
      await agent.until(
        (scrape) => scrape.sum('tailrace_output_buffered_records') === 0 && new Set(there()).size === written,
      );
      expect(there().toSorted()).toEqual(Array.from({ length: written }, (_, n) => `line ${n}`).toSorted());
    }
  } finally {
    await bucket.close();
  }
});
