/** rsyslog that ships a file to Elasticsearch (omelasticsearch), from Debian's packages, unpacked and not installed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { unpackDebian } from '../support/tools.ts';

const PACKAGES = ['rsyslog', 'rsyslog-elasticsearch', 'libestr0', 'libfastjson4', 'liblognorm5'];
const LIBRARIES = `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

export const rsyslogElasticsearch: Service = {
  name: 'rsyslog-elasticsearch',
  version: 'debian',
  recipe: PACKAGES.join(' '),
  install: (folder) => unpackDebian(folder, PACKAGES),
};

/** As docs/receivers.md has it. */
const CONFIGURATION = `
global(workDirectory="DATA")
module(load="imfile")
module(load="omelasticsearch")
template(name="document" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
ruleset(name="ship") {
  action(type="omelasticsearch" server="127.0.0.1" serverport="PORT" template="document"
    searchIndex="logs" searchType="" bulkmode="on"
    action.resumeRetryCount="-1" action.resumeInterval="1"
    queue.type="linkedList" queue.size="100000" queue.timeoutEnqueue="3600000" queue.dequeueBatchSize="200"
    errorfile="DATA/refused.json")
}
input(type="imfile" file="FILE" tag="demo" ruleset="ship")
`;

/** Starts it: what is in `file`, and what comes to it, goes to that port. */
export async function startRsyslogShipper(file: string, port: number): Promise<{ close(): Promise<void> }> {
  const folder = installed(rsyslogElasticsearch);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-rsyslog-'));
  const config = join(data, 'rsyslog.conf');
  writeFileSync(
    config,
    CONFIGURATION.replaceAll('DATA', data).replace('FILE', file).replace('PORT', String(port)),
  );
  const libraries = join(folder, LIBRARIES);
  const process = await new ServerProcess({
    command: join(folder, 'usr/sbin/rsyslogd'),
    args: ['-n', '-f', config, '-i', 'NONE', '-M', join(libraries, 'rsyslog')],
    env: { LD_LIBRARY_PATH: libraries },
    cwd: data,
    ready: async () => true,
  }).start();
  return {
    async close() {
      await process.kill();
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
