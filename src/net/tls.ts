/**
 * TLS of outgoing connections: from the `tls.*` options to what `node:tls` takes. Certificates and keys are read again when
 * their files change, so that a rotated secret needs no restart.
 */
import { createSecureContext, getCACertificates } from 'node:tls';
import type { ConnectionOptions, SecureContextOptions, SecureVersion } from 'node:tls';
import { readCertificateDirectory, readCertificates, readTlsFile, stampOf } from './tls-files.ts';

/** The `tls.*` options by their keys, as the façade's `tlsOptions` declares them; secrets as plain text. */
export interface TlsSettings {
  /** What the keys begin with, for messages; default `tls.`. */
  keyPrefix?: 'tls.' | 'tls.proxy.' | 'kube_';
  /** Checks the certificate chain. */
  verify: boolean;
  /** Checks the host name. */
  verifyHostname: boolean;
  caFile?: string | undefined;
  caPath?: string | undefined;
  crtFile?: string | undefined;
  keyFile?: string | undefined;
  keyPasswd?: string | undefined;
  /** Host name for SNI and for the check of the certificate. */
  vhost?: string | undefined;
  minVersion?: SecureVersion | undefined;
  maxVersion?: SecureVersion | undefined;
  ciphers?: string | undefined;
}

/** The TLS material of one destination. */
export class TlsMaterial {
  private readonly settings: TlsSettings;
  private stamp = '';
  private connection: ConnectionOptions = {};

  /** Reads all files. Throws a sentence that names the file that cannot be used. */
  constructor(settings: TlsSettings) {
    this.settings = settings;
    this.stamp = this.currentStamp();
    this.connection = this.load();
  }

  /** What to connect with. */
  get options(): ConnectionOptions {
    return this.connection;
  }

  /**
   * Looks whether a file changed and reads all of them if so. Returns whether {@link options} are new. Throws when the new
   * files cannot be used; then the old options stay, and the next call tries again.
   */
  refresh(): boolean {
    const stamp = this.currentStamp();
    if (stamp === this.stamp) return false;
    this.connection = this.load();
    this.stamp = stamp;
    return true;
  }

  private currentStamp(): string {
    const { caFile, caPath, crtFile, keyFile } = this.settings;
    return stampOf([caFile, caPath, crtFile, keyFile]);
  }

  private load(): ConnectionOptions {
    const { verify, verifyHostname, vhost } = this.settings;
    return {
      // Made once: parsing the certificates of the system for every connection would cost milliseconds.
      secureContext: this.context(),
      rejectUnauthorized: verify,
      ...(vhost === undefined ? {} : { servername: vhost }),
      ...(verifyHostname ? {} : { checkServerIdentity: () => undefined }),
    };
  }

  private context(): ReturnType<typeof createSecureContext> {
    const { caFile, caPath, crtFile, keyFile, keyPasswd, minVersion, maxVersion, ciphers } = this.settings;
    const { keyPrefix = 'tls.' } = this.settings;
    const ca: (string | Buffer)[] = [];
    if (caFile !== undefined) ca.push(readCertificates(`${keyPrefix}ca_file`, caFile));
    if (caPath !== undefined) ca.push(...readCertificateDirectory(caPath));
    const options: SecureContextOptions = {
      ca: ca.length > 0 ? ca : trusted(),
      ...(crtFile === undefined ? {} : { cert: readTlsFile('tls.crt_file', crtFile) }),
      ...(keyFile === undefined ? {} : { key: readTlsFile('tls.key_file', keyFile) }),
      ...(keyPasswd === undefined ? {} : { passphrase: keyPasswd }),
      ...(minVersion === undefined ? {} : { minVersion }),
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ciphers === undefined ? {} : { ciphers }),
    };
    try {
      return createSecureContext(options);
    } catch (error) {
      const files = [caFile, caPath, crtFile, keyFile].filter((path) => path !== undefined).join(', ');
      throw new Error(
        `Setting up TLS${files === '' ? '' : ` with ${files}`}: ${(error as Error).message}. Check that the files are PEM, that key and certificate belong together, and tls.key_passwd, tls.ciphers and the versions.`,
        { cause: error },
      );
    }
  }
}

/** The operating system's certificates, as other programs on the machine use; Node's own where it has none. */
function trusted(): string[] {
  const system = getCACertificates('system');
  return system.length > 0 ? [...system, ...getCACertificates('extra')] : getCACertificates('default');
}
