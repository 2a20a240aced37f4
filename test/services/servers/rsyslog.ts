/** rsyslog with TLS by GnuTLS, from Debian's packages, unpacked and not installed: everything in a folder of its own. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tlsFile } from '../../net/servers.ts';
import { accepts, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { unpackDebian } from '../support/tools.ts';

/** With the libraries that are not on every Debian. */
const PACKAGES = ['rsyslog', 'rsyslog-gnutls', 'libestr0', 'libfastjson4', 'liblognorm5'];
/** Where Debian puts libraries on this machine. */
const LIBRARIES = `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

export const rsyslog: Service = {
  name: 'rsyslog',
  version: 'debian',
  recipe: PACKAGES.join(' '),
  install: (folder) => unpackDebian(folder, PACKAGES),
};

/**
 * Writes what it receives to `out` at once, by no queue: what it has read is in the file. Control characters stay as they are, so that what
 * was sent can be seen.
 */
const CONFIGURATION = `
global(workDirectory="DATA" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
main_queue(queue.type="direct")
module(load="imtcp" keepAlive="on")
module(load="imudp")
template(name="json" type="list") {
  constant(value="{") property(outname="pri" name="pri" format="jsonf")
  constant(value=",") property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  constant(value=",") property(outname="host" name="hostname" format="jsonf")
  constant(value=",") property(outname="app" name="app-name" format="jsonf")
  constant(value=",") property(outname="pid" name="procid" format="jsonf")
  constant(value=",") property(outname="mid" name="msgid" format="jsonf")
  constant(value=",") property(outname="sd" name="structured-data" format="jsonf")
  constant(value=",") property(outname="msg" name="msg" format="jsonf")
  constant(value="}\\n")
}
ruleset(name="store" queue.type="direct") {
  action(type="omfile" file="OUT" template="json" asyncWriting="off" flushOnTXEnd="on")
}
input(type="imtcp" port="PORT" address="127.0.0.1" ruleset="store")
input(type="imudp" port="PORT" address="127.0.0.1" ruleset="store" rcvbufSize="4m")
input(type="imtcp" port="SECURE" address="127.0.0.1" ruleset="store" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="anon" streamDriver.CAFile="CA" streamDriver.certFile="CERT" streamDriver.keyFile="KEY")
`;

/** A message as it has it. */
export interface Stored {
  pri: string;
  time: string;
  host: string;
  app: string;
  pid: string;
  mid: string;
  sd: string;
  msg: string;
}

export interface RsyslogServer {
  /** TCP (both framings) and UDP. */
  port: number;
  /** TLS. */
  securePort: number;
  process: ServerProcess;
  /** Takes another certificate of the tests; it counts from its next start on. */
  certify(certificate: string): void;
  /** All that it has received. */
  stored(): Stored[];
  /** Lines of the file, without reading them. */
  count(): number;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** Starts the daemon in the foreground, with its configuration and nothing else. */
function start(
  folder: string,
  data: string,
  config: string,
  ready: () => Promise<boolean>,
): Promise<ServerProcess> {
  const libraries = join(folder, LIBRARIES);
  return new ServerProcess({
    command: join(folder, 'usr/sbin/rsyslogd'),
    args: ['-n', '-f', config, '-i', 'NONE', '-M', join(libraries, 'rsyslog')],
    env: { LD_LIBRARY_PATH: libraries },
    cwd: data,
    ready,
  }).start();
}

export interface Relay {
  /** It takes RFC 5424 here, by TCP, and sends it on. */
  port: number;
  process: ServerProcess;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** Starts it with these actions: it does with each message that it takes what they say. */
export async function startRsyslogRelay(actions: string): Promise<Relay> {
  const data = mkdtempSync(join(tmpdir(), 'tailrace-rsyslog-'));
  const port = await freePort();
  const config = join(data, 'rsyslog.conf');
  writeFileSync(
    config,
    `global(workDirectory="${data}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
main_queue(queue.type="direct")
module(load="imtcp")
input(type="imtcp" port="${port}" address="127.0.0.1")
${actions}
`,
  );
  const process = await start(installed(rsyslog), data, config, () => accepts(port));
  return {
    port,
    process,
    async close() {
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Starts it on free ports of 127.0.0.1; TLS with that certificate of the tests. */
export async function startRsyslog({ certificate = 'server' } = {}): Promise<RsyslogServer> {
  const folder = installed(rsyslog);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-rsyslog-'));
  const out = join(data, 'out.ndjson');
  const port = await freePort();
  const securePort = await freePort();
  const config = join(data, 'rsyslog.conf');
  writeFileSync(out, '');
  writeFileSync(
    config,
    CONFIGURATION.replaceAll('PORT', String(port))
      .replace('SECURE', String(securePort))
      .replace('DATA', data)
      .replace('OUT', out)
      .replace('"CA"', `"${tlsFile('ca.pem')}"`)
      .replace('"CERT"', `"${join(data, 'cert.pem')}"`)
      .replace('"KEY"', `"${join(data, 'cert.key')}"`),
  );
  const certify = (name: string): void => {
    for (const end of ['pem', 'key']) copyFileSync(tlsFile(`${name}.${end}`), join(data, `cert.${end}`));
  };
  certify(certificate);
  const process = await start(
    folder,
    data,
    config,
    async () => (await accepts(port)) && (await accepts(securePort)),
  );
  return {
    port,
    securePort,
    process,
    certify,
    stored: () =>
      readFileSync(out, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Stored),
    count() {
      const bytes = readFileSync(out);
      let lines = 0;
      for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines++;
      return lines;
    },
    async close() {
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
