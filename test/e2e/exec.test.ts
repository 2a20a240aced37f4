/** An agent that wraps a command: it delivers what the command writes, and ends as it does. */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';

test('an agent ends with its command, when all is delivered, and with its exit code', async ({ rig }) => {
  rig.configure(`pipeline:
  inputs:
    - name: exec
      tag: job
      command: for n in 1 2 3; do echo "line $n"; done; exit 7
      exit_after_oneshot: on
      propagate_exit_code: on
  outputs:
    - name: file
      match: job
      path: .
      file: out.log
      format: plain
`);
  const agent = rig.launch();
  expect(await agent.exited).toEqual({ code: 7, signal: null });
  expect(readFileSync(rig.path('out.log'), 'utf8')).toBe(
    '{"exec":"line 1"}\n{"exec":"line 2"}\n{"exec":"line 3"}\n',
  );
  expect(agent.summary).toMatchObject({ read: 3, delivered: 3, in_doubt: 0 });
});

test('the sample runs', async ({ rig }) => {
  cpSync(join(import.meta.dirname, '../../pipelines/exec.yaml'), rig.path('pipelines/exec.yaml'));
  const agent = await rig.start({ config: 'pipelines/exec.yaml', env: { EXEC_SECONDS: '1' } });
  await agent.shown(1);
  expect(JSON.parse(agent.stdout.split('\n')[0] as string)).toMatchObject({
    used: expect.any(Number),
    mount: expect.stringMatching(/^\//),
  });
});
