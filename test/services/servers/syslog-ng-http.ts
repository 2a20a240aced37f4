/** syslog-ng that ships what it gets by TCP to Elasticsearch, from Debian's packages, unpacked and not installed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { unpackDebian } from '../support/tools.ts';

const PACKAGES = [
  'syslog-ng-core',
  'syslog-ng-mod-http',
  'libivykis0',
  'libjson-c5',
  'libnet1',
  'libpcre3',
  'libwrap0',
  'libglib2.0-0',
];
const ARCHITECTURE = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
const LIBRARIES = [`usr/lib/${ARCHITECTURE}`, `lib/${ARCHITECTURE}`, 'usr/lib/syslog-ng', 'usr/lib'];

export const syslogNgHttp: Service = {
  name: 'syslog-ng-http',
  version: 'debian',
  recipe: PACKAGES.join(' '),
  install: (folder) => unpackDebian(folder, PACKAGES),
};

/** What its elasticsearch-http() stands for, written out: the template is in a package that is not needed otherwise. */
const CONFIGURATION = `@version: 3.38
options { stats-freq(0); use-dns(no); time-reopen(1); };
source lines { network(transport("tcp") ip("127.0.0.1") port(LISTEN) flags(no-parse)); };
destination bulk {
  http(
    url("http://127.0.0.1:PORT/_bulk")
    headers("Content-Type: application/x-ndjson")
    batch-lines(200) workers(2) timeout(10)
    body("$(format-json --scope none --omit-empty-values index._index=logs)\\n$(format-json @timestamp=\${ISODATE} message=\${MESSAGE})")
    body-suffix("\\n")
    retries(1000000)
  );
};
log { source(lines); destination(bulk); flags(flow-control); };
`;

export interface SyslogNgShipper {
  /** Takes lines by TCP. */
  port: number;
  close(): Promise<void>;
}

/** Starts it: what comes by TCP goes to that port. */
export async function startSyslogNgShipper(to: number): Promise<SyslogNgShipper> {
  const folder = installed(syslogNgHttp);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-syslog-ng-'));
  const port = await freePort();
  const config = join(data, 'syslog-ng.conf');
  writeFileSync(config, CONFIGURATION.replace('PORT', String(to)).replace('LISTEN', String(port)));
  const own = (name: string): string => `--${name}=${join(data, name)}`;
  const process = await new ServerProcess({
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
    ready: () => accepts(port),
  }).start();
  return {
    port,
    async close() {
      await process.kill();
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
