import { appendFileSync, cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Cli, ROOT, workspace } from './harness.ts';

const lines = (text: string): string[] => text.split('\n').slice(0, -1);

describe('pipelines/quickstart.yaml', () => {
  it('shows both logs without health checks, keeps errors in a file, follows, and shows the same again', async () => {
    const directory = workspace();
    cpSync(join(ROOT, 'pipelines', 'logs'), join(directory, 'pipelines', 'logs'), { recursive: true });
    cpSync(join(ROOT, 'pipelines', 'quickstart.yaml'), join(directory, 'pipelines', 'quickstart.yaml'));
    const app = join(directory, 'pipelines', 'logs', 'app.log');
    const errors = join(directory, 'pipelines', 'out', 'errors.log');
    const wanted = ['nginx-access.log', 'app.log']
      .flatMap((name) => lines(readFileSync(join(directory, 'pipelines', 'logs', name), 'utf8')))
      .filter((line) => !line.includes('/healthz')).length;
    const wantedErrors = 7;

    for (const round of [1, 2]) {
      const run = new Cli(['run', '-c', 'pipelines/quickstart.yaml', '--port', '0'], directory);
      await run.until(({ stdout }) => lines(stdout).length === wanted + round - 1);
      await expect
        .poll(() => (existsSync(errors) ? lines(readFileSync(errors, 'utf8')).length : 0))
        .toBe(wantedErrors * round + (round - 1) * 2);
      expect(run.stdout).toMatch(/WARN +web\.nginx 404 GET \/wp-login\.php/);
      expect(run.stdout).toMatch(/2026-03-14 \S+ ERROR web\.app payment declined/);
      expect(run.stdout).not.toContain('healthz');
      const metrics = await (await fetch(`${await run.api()}/metrics`)).text();
      expect(metrics).toContain('tailrace_input_read_records_total{name="nginx"} 40\n');

      appendFileSync(app, '{"time":"2026-03-14T10:00:00.000Z","level":"error","msg":"hello"}\n');
      await run.until(({ stdout }) => lines(stdout).length === wanted + round);
      expect(lines(run.stdout).at(-1)).toBe('2026-03-14 10:00:00.000 ERROR web.app hello');
      await expect
        .poll(() => lines(readFileSync(errors, 'utf8')).length)
        .toBe(wantedErrors * round + (round - 1) * 2 + 1);
      run.signal('SIGINT');
      expect(await run.exit()).toBe(0);
      expect(run.stderr).toMatch(/Stopped after .* 0 in doubt/);
    }
  });
});
