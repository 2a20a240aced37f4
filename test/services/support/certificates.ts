/** Certificates for a server on 127.0.0.1, made by openssl: of an authority of their own, good and expired. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './tools.ts';

export interface Certificates {
  /** The authority that signed them. */
  ca: string;
  /** An authority that signed nothing. */
  otherCa: string;
  /** Key and certificate in one file, PEM. */
  good: string;
  expired: string;
}

const NAMES = 'subjectAltName=IP:127.0.0.1,DNS:localhost';

/** A command that makes a key and something that is signed by it. */
async function openssl(command: string, key: string, out: string): Promise<void> {
  await run('openssl', [...command.split(' '), '-keyout', key, '-out', out]);
}

async function authority(folder: string, name: string): Promise<string> {
  const certificate = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  await openssl(`req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=${name}`, key, certificate);
  return certificate;
}

/** Makes them in `folder`. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const ca = await authority(folder, 'authority');
  const otherCa = await authority(folder, 'other-authority');
  const database = join(folder, 'signed');
  mkdirSync(database);
  writeFileSync(join(database, 'index.txt'), '');
  writeFileSync(join(database, 'serial'), '01\n');
  const config = join(folder, 'openssl.cnf');
  writeFileSync(
    config,
    `[ca]
default_ca = own
[own]
dir = ${database}
database = ${database}/index.txt
new_certs_dir = ${database}
serial = ${database}/serial
certificate = ${ca}
private_key = ${join(folder, 'authority.key')}
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[names]
${NAMES}
`,
  );
  const sign = async (name: string, from: string, to: string): Promise<string> => {
    const key = join(folder, `${name}.key`);
    const request = join(folder, `${name}.csr`);
    const certificate = join(folder, `${name}.crt`);
    await openssl(`req -newkey rsa:2048 -nodes -subj /CN=${name}`, key, request);
    const days = ['-startdate', from, '-enddate', to];
    await run('openssl', [
      'ca',
      '-batch',
      '-config',
      config,
      '-extensions',
      'names',
      '-notext',
      ...days,
      '-in',
      request,
      '-out',
      certificate,
    ]);
    const both = join(folder, `${name}.both.pem`);
    writeFileSync(both, `${readFileSync(key, 'utf8')}${readFileSync(certificate, 'utf8')}`);
    return both;
  };
  return {
    ca,
    otherCa,
    good: await sign('good', '20200101000000Z', '20491231000000Z'),
    expired: await sign('expired', '20200101000000Z', '20200201000000Z'),
  };
}
