import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LineFile } from '../../src/telemetry/line-file.ts';

describe('LineFile', () => {
  it('drops and counts what does not fit on a full disk', ({ skip }) => {
    skip(!existsSync('/dev/full'), 'there is no /dev/full');
    const file = new LineFile('/dev/full');
    file.write('line\n');
    expect(file.lost).toBe(1);
  });

  it('survives a closed pipe and one that nobody reads', async () => {
    const script = `
      import { LineFile } from ${JSON.stringify(new URL('../../src/telemetry/line-file.ts', import.meta.url).href)};
      const file = new LineFile(undefined);
      process.once('message', () => {
        for (let n = 0; n < 30; n++) file.write('x'.repeat(8192) + '\\n');
        process.send(file.lost);
        process.disconnect();
      });
      process.send('up');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    await once(child, 'message');
    child.stderr?.destroy();
    child.send('go');
    const [lost] = (await once(child, 'message')) as [number];
    expect(lost).toBe(30);
    await once(child, 'exit');
  });
});
