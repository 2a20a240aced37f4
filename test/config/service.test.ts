import { describe, expect, it } from 'vitest';
import { accepted, lines, Workspace } from './workspace.ts';

const pipeline = (service: string): string => `service:
  ${service}
pipeline:
  inputs:
    - name: dummy
  outputs:
    - name: 'null'
      match: '*'
`;

describe('watchdog.timeout', () => {
  it.each([
    ['flush: 1', undefined],
    ['watchdog.timeout: 2m', 120],
    ['watchdog.timeout: 3', 3],
    ['watchdog.timeout: 0', 0],
    ['watchdog.timeout: off', 0],
  ])('%s is %s', async (line, seconds) => {
    using workspace = new Workspace();
    const { service } = accepted(await workspace.load(pipeline(line)));
    expect(service.watchdogTimeout).toBe(seconds);
  });

  it.each(['2.9s', 'never', '-1'])('%s is a mistake', async (text) => {
    using workspace = new Workspace();
    const [line] = lines(await workspace.load(pipeline(`watchdog.timeout: ${text}`)));
    expect(line).toMatch(/^error 2 /);
  });
});
