import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TlsMaterial } from '../../src/net/tls.ts';
import { tlsFile } from './servers.ts';

describe('TlsMaterial', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tailrace-tls-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('takes the certificates of a directory', () => {
    copyFileSync(tlsFile('ca.pem'), join(directory, 'ca.crt'));
    writeFileSync(join(directory, 'README'), 'no certificate');
    expect(new TlsMaterial({ verify: true, verifyHostname: true, caPath: directory }).options).toMatchObject({
      rejectUnauthorized: true,
    });
  });

  it('says that a directory holds none', () => {
    expect(() => new TlsMaterial({ verify: true, verifyHostname: true, caPath: directory })).toThrow(
      /tls\.ca_path .*: it holds no file/,
    );
  });

  it('keeps the old material while new files cannot be used, and takes them once they can', () => {
    const caFile = join(directory, 'ca.pem');
    copyFileSync(tlsFile('ca.pem'), caFile);
    const material = new TlsMaterial({ verify: true, verifyHostname: true, caFile });
    const before = material.options;
    expect(material.refresh()).toBe(false);
    writeFileSync(caFile, 'half a cert');
    expect(() => material.refresh()).toThrow(/holds no certificate/);
    expect(material.options).toBe(before);
    copyFileSync(tlsFile('other.pem'), caFile);
    expect(material.refresh()).toBe(true);
    expect(material.options).not.toBe(before);
  });
});
