import { describe, expect, it } from 'vitest';
import { chooseStateDirectory } from '../../src/cli/state-directory.ts';
import type { StateChoice } from '../../src/cli/state-directory.ts';

const choose = (choice: Partial<StateChoice>): string | undefined =>
  chooseStateDirectory({
    commandLine: undefined,
    configured: undefined,
    configFile: '/etc/tailrace/app.yaml',
    env: { HOME: '/home/me' },
    isRoot: false,
    ...choice,
  });

describe('chooseStateDirectory', () => {
  const env = { STATE_DIRECTORY: '/sd:/other', XDG_STATE_HOME: '/xdg', HOME: '/home/me' };
  it.each([
    [{ commandLine: '/cli', configured: '/file', env, isRoot: true }, '/cli'],
    [{ configured: '/file', env, isRoot: true }, '/file'],
    [{ env, isRoot: true }, '/sd'],
    [{ env: { ...env, STATE_DIRECTORY: '' }, isRoot: true }, '/var/lib/tailrace'],
    [{ env: { ...env, STATE_DIRECTORY: '' } }, '/xdg/tailrace'],
    [{}, '/home/me/.local/state/tailrace'],
  ])('%j', (choice, base) => {
    expect(choose(choice)).toMatch(new RegExp(`^${base}/app-[0-9a-f]{12}$`));
  });

  it('keeps nothing when it is off, wherever that stands', () => {
    expect(choose({ commandLine: 'off', configured: '/file' })).toBeUndefined();
    expect(choose({ configured: 'Off' })).toBeUndefined();
    expect(choose({ commandLine: '/cli', configured: 'off' })).toBeDefined();
  });

  it('gives each configuration file a folder, by its absolute path', () => {
    expect(choose({ configFile: '/a/app.yaml' })).not.toBe(choose({ configFile: '/b/app.yaml' }));
    expect(choose({ configFile: 'x/../app.yaml' })).toBe(choose({ configFile: `${process.cwd()}/app.yaml` }));
    expect(choose({ configFile: '/a/we ird"name.yml' })).toMatch(/\/we_ird_name-[0-9a-f]{12}$/);
  });

  it('says what to do where there is no home', () => {
    expect(() => choose({ env: {} })).toThrow(/--state-path DIR/);
  });
});
