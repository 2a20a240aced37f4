/**
 * TLS of listeners: from the `tls.*` options to what `node:tls` takes. Certificates and keys are read again when their files
 * change, so that a renewed certificate needs no restart.
 */
import { createSecureContext } from 'node:tls';
import type { SecureContextOptions, SecureVersion } from 'node:tls';
import { readCertificateDirectory, readCertificates, readTlsFile, stampOf } from './tls-files.ts';

/** The `tls.*` options of a listener by their keys; secrets as plain text. */
export interface ListenerTlsSettings {
  crtFile: string;
  keyFile: string;
  keyPasswd?: string | undefined;
  /** Clients need a certificate that one of the authorities signed. */
  verifyClient: boolean;
  /** Authorities of the clients' certificates. */
  caFile?: string | undefined;
  caPath?: string | undefined;
  minVersion?: SecureVersion | undefined;
  maxVersion?: SecureVersion | undefined;
  ciphers?: string | undefined;
}

/** What a TLS server is made with. */
export interface ListenerTlsOptions extends SecureContextOptions {
  requestCert: boolean;
  rejectUnauthorized: boolean;
}

/** The files are looked at no more often than this. Milliseconds. */
const LOOK_EVERY_MS = 1000;

/** The TLS material of one listener. */
export class ListenerTls {
  private readonly settings: ListenerTlsSettings;
  private stamp: string;
  private current: ListenerTlsOptions;
  private lookedAt = performance.now();

  /** Reads all files. Throws a sentence that names the file that cannot be used. */
  constructor(settings: ListenerTlsSettings) {
    this.settings = settings;
    this.stamp = this.currentStamp();
    this.current = this.load();
  }

  /** For `tls.createServer` and, after a change, `server.setSecureContext`. */
  get options(): ListenerTlsOptions {
    return this.current;
  }

  /**
   * Looks whether a file changed and reads all of them if so; call it with every connection. Returns whether {@link options} are
   * new. Throws when the new files cannot be used; then the old options stay, and a later call tries again.
   */
  refresh(): boolean {
    const now = performance.now();
    if (now - this.lookedAt < LOOK_EVERY_MS) return false;
    this.lookedAt = now;
    const stamp = this.currentStamp();
    if (stamp === this.stamp) return false;
    this.current = this.load();
    this.stamp = stamp;
    return true;
  }

  private currentStamp(): string {
    const { caFile, caPath, crtFile, keyFile } = this.settings;
    return stampOf([caFile, caPath, crtFile, keyFile]);
  }

  private load(): ListenerTlsOptions {
    const { crtFile, keyFile, keyPasswd, verifyClient, caFile, caPath } = this.settings;
    const { minVersion, maxVersion, ciphers } = this.settings;
    const ca: Buffer[] = [];
    if (verifyClient && caFile !== undefined) ca.push(readCertificates('tls.ca_file', caFile));
    if (verifyClient && caPath !== undefined) ca.push(...readCertificateDirectory(caPath));
    const options: ListenerTlsOptions = {
      cert: readCertificates('tls.crt_file', crtFile),
      key: readTlsFile('tls.key_file', keyFile),
      requestCert: verifyClient,
      rejectUnauthorized: verifyClient,
      ...(verifyClient ? { ca } : {}),
      ...(keyPasswd === undefined ? {} : { passphrase: keyPasswd }),
      ...(minVersion === undefined ? {} : { minVersion }),
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ciphers === undefined ? {} : { ciphers }),
    };
    try {
      createSecureContext(options);
    } catch (error) {
      const files = [crtFile, keyFile, caFile, caPath].filter((path) => path !== undefined).join(', ');
      throw new Error(
        `Setting up TLS with ${files}: ${(error as Error).message}. Check that the files are PEM, that key and certificate belong together, and tls.key_passwd, tls.ciphers and the versions.`,
        { cause: error },
      );
    }
    return options;
  }
}
