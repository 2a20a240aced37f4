/** syslog-ng from Debian's packages, unpacked and not installed (it conflicts with rsyslog): everything in a folder of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { unpackDebian } from '../support/tools.ts';
import type { Relay, Stored } from './rsyslog.ts';

/** With the libraries that are not on every Debian. */
const PACKAGES = [
  'syslog-ng-core',
  'libivykis0',
  'libjson-c5',
  'libnet1',
  'libpcre3',
  'libwrap0',
  'libglib2.0-0',
];
const ARCHITECTURE = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
const LIBRARIES = [`usr/lib/${ARCHITECTURE}`, `lib/${ARCHITECTURE}`, 'usr/lib/syslog-ng', 'usr/lib'];

export const syslogNg: Service = {
  name: 'syslog-ng',
  version: 'debian',
  recipe: PACKAGES.join(' '),
  install: (folder) => unpackDebian(folder, PACKAGES),
};

const CONFIGURATION = `@version: 3.38
options { stats-freq(0); keep-hostname(yes); use-dns(no); frac-digits(6); log-msg-size(262144); };
source lines { network(transport("tcp") ip("127.0.0.1") port(PORT) flags(syslog-protocol) log-iw-size(1000)); };
source counted { syslog(transport("tcp") ip("127.0.0.1") port(COUNTED) log-iw-size(1000)); };
source datagrams { network(transport("udp") ip("127.0.0.1") port(PORT) flags(syslog-protocol) so-rcvbuf(4194304)); };
destination store {
  file("OUT" template("$(format-json pri=$PRI time=$ISODATE host=$HOST app=$PROGRAM pid=$PID mid=$MSGID sd=$SDATA msg=$MESSAGE)\\n"));
};
log { source(lines); source(counted); source(datagrams); destination(store); flags(flow-control); };
`;

export interface SyslogNgServer {
  /** TCP by lines, and UDP. */
  port: number;
  /** TCP with octet counting. */
  countedPort: number;
  process: ServerProcess;
  /** All that it has received. */
  stored(): Stored[];
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
  const own = (name: string): string => `--${name}=${join(data, name)}`;
  return new ServerProcess({
    command: join(folder, 'usr/sbin/syslog-ng'),
    args: [
      '-F',
      '-f',
      config,
      own('persist-file'),
      own('pidfile'),
      own('control'),
      `--module-path=${join(folder, 'usr/lib/syslog-ng/3.38')}`,
      '--no-caps',
    ],
    env: { LD_LIBRARY_PATH: LIBRARIES.map((path) => join(folder, path)).join(':') },
    cwd: data,
    ready,
  }).start();
}

/** Starts it with these destinations: each message that it takes, by RFC 5424 and TCP, goes to all that are named. */
export async function startSyslogNgRelay(destinations: string, names: readonly string[]): Promise<Relay> {
  const data = mkdtempSync(join(tmpdir(), 'tailrace-syslog-ng-'));
  const port = await freePort();
  const config = join(data, 'syslog-ng.conf');
  writeFileSync(
    config,
    `@version: 3.38
options { stats-freq(0); keep-hostname(yes); use-dns(no); log-msg-size(262144); };
source taken { syslog(transport("tcp") ip("127.0.0.1") port(${port}) log-iw-size(1000)); };
${destinations}
log { source(taken); ${names.map((name) => `destination(${name});`).join(' ')} flags(flow-control); };
`,
  );
  const process = await start(installed(syslogNg), data, config, () => accepts(port));
  return {
    port,
    process,
    async close() {
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Starts it on free ports of 127.0.0.1. */
export async function startSyslogNg(): Promise<SyslogNgServer> {
  const folder = installed(syslogNg);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-syslog-ng-'));
  const out = join(data, 'out.ndjson');
  const port = await freePort();
  const countedPort = await freePort();
  const config = join(data, 'syslog-ng.conf');
  writeFileSync(out, '');
  writeFileSync(
    config,
    CONFIGURATION.replaceAll('PORT', String(port))
      .replace('COUNTED', String(countedPort))
      .replace('OUT', out),
  );
  const process = await start(
    folder,
    data,
    config,
    async () => (await accepts(port)) && (await accepts(countedPort)),
  );
  return {
    port,
    countedPort,
    process,
    stored: () =>
      readFileSync(out, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Stored),
    async close() {
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
