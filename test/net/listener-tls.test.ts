import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ListenerTls } from '../../src/net/listener-tls.ts';
import { tlsFile } from './servers.ts';

describe('ListenerTls', () => {
  let directory: string;
  let settings: { crtFile: string; keyFile: string; verifyClient: boolean };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tailrace-listener-'));
    settings = {
      crtFile: join(directory, 'crt.pem'),
      keyFile: join(directory, 'key.pem'),
      verifyClient: false,
    };
    copyFileSync(tlsFile('server.pem'), settings.crtFile);
    copyFileSync(tlsFile('server.key'), settings.keyFile);
    vi.useFakeTimers({ toFake: ['performance'] });
  });

  afterEach(() => {
    vi.useRealTimers();
    rmSync(directory, { recursive: true });
  });

  it('asks for certificates of clients only when told so, and trusts the given authorities alone', () => {
    expect(new ListenerTls(settings).options).toMatchObject({
      requestCert: false,
      rejectUnauthorized: false,
    });
    const { options } = new ListenerTls({ ...settings, verifyClient: true, caFile: tlsFile('ca.pem') });
    expect(options).toMatchObject({ requestCert: true, rejectUnauthorized: true });
    expect(options.ca).toHaveLength(1);
  });

  it('names what cannot be used', () => {
    expect(() => new ListenerTls({ ...settings, keyFile: tlsFile('other.key') })).toThrow(
      /Setting up TLS with .*key values mismatch/s,
    );
    expect(() => new ListenerTls({ ...settings, crtFile: join(directory, 'none') })).toThrow(
      /Reading tls\.crt_file .*none/,
    );
    expect(
      () => new ListenerTls({ ...settings, verifyClient: true, caPath: join(directory, 'none') }),
    ).toThrow(/tls\.ca_path/);
  });

  it('takes renewed files, and keeps the old ones while these cannot be used', () => {
    const tls = new ListenerTls(settings);
    const before = tls.options;
    vi.advanceTimersByTime(1000);
    expect(tls.refresh()).toBe(false);
    writeFileSync(settings.crtFile, 'half a cert');
    expect(tls.refresh()).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(() => tls.refresh()).toThrow(/no certificate/);
    expect(tls.options).toBe(before);
    copyFileSync(tlsFile('other.pem'), settings.crtFile);
    copyFileSync(tlsFile('other.key'), settings.keyFile);
    vi.advanceTimersByTime(1000);
    expect(tls.refresh()).toBe(true);
    expect(tls.options).not.toBe(before);
  });
});
