/** The files of `tls.*` options: reading them, and seeing that they changed. Errors are sentences that name option and file. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const CERTIFICATE_NAME = /\.(?:pem|crt|cer|0)$/i;

/** The bytes of the file that the option `key` names. */
export function readTlsFile(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`Reading ${key} ${path}: ${(error as Error).message}.`, { cause: error });
  }
}

/** The same, for certificates: OpenSSL takes a file without any for an empty list, and then trusts nobody. */
export function readCertificates(key: string, path: string): Buffer {
  const bytes = readTlsFile(key, path);
  if (!bytes.includes('-----BEGIN '))
    throw new Error(`Reading ${key} ${path}: it holds no certificate in PEM form.`);
  return bytes;
}

/** The certificates of all files of the directory that `tls.ca_path` names. */
export function readCertificateDirectory(path: string): Buffer[] {
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (error) {
    throw new Error(`Reading tls.ca_path ${path}: ${(error as Error).message}.`, { cause: error });
  }
  const certificates = names
    .filter((name) => CERTIFICATE_NAME.test(name))
    .map((name) => readCertificates('tls.ca_path', join(path, name)));
  if (certificates.length === 0) {
    throw new Error(`Reading tls.ca_path ${path}: it holds no file that ends in .pem, .crt, .cer or .0.`);
  }
  return certificates;
}

/** A text that changes when one of the files changes. Kubernetes exchanges a symlink, which changes the inode. */
export function stampOf(paths: readonly (string | undefined)[]): string {
  return paths.map((path) => (path === undefined ? '' : stampOfFile(path))).join();
}

function stampOfFile(path: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(path);
    return `${ino}:${mtimeMs}:${size}`;
  } catch {
    // In the middle of an exchange: seen as a change once it is there again.
    return 'absent';
  }
}
