/**
 * Elasticsearch, from the jars of its module and a main of ours: it speaks HTTP through one module, and has no security, no index
 * lifecycles and no ingest processors.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answers, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { jdk, mavenCopy, run } from '../support/tools.ts';
import type { SearchServer } from './search-server.ts';

const JDK = 25;
const HERE = join(import.meta.dirname, 'elasticsearch');
const pom = readFileSync(join(HERE, 'pom.xml'), 'utf8');
const main = readFileSync(join(HERE, 'EsMain.java'), 'utf8');
const descriptor = readFileSync(join(HERE, 'plugin-descriptor.properties'), 'utf8');

export const elasticsearch: Service = {
  name: 'elasticsearch',
  version: '9.5.3',
  recipe: pom + main + descriptor,
  async install(folder) {
    const java = jdk(JDK);
    const lib = join(folder, 'lib');
    const netty = join(folder, 'home/modules/transport-netty4');
    await mavenCopy(folder, pom, lib);
    for (const part of ['config', 'plugins']) mkdirSync(join(folder, 'home', part), { recursive: true });
    mkdirSync(netty, { recursive: true });
    for (const name of readdirSync(lib))
      if (/^(?:netty|transport-netty4)-/.test(name)) renameSync(join(lib, name), join(netty, name));
    writeFileSync(join(netty, 'plugin-descriptor.properties'), descriptor);
    writeFileSync(join(folder, 'EsMain.java'), main);
    await run(join(java, 'bin/javac'), ['-cp', `${lib}/*`, '-d', folder, join(folder, 'EsMain.java')]);
  },
};

/** Starts Elasticsearch on a free port of 127.0.0.1; `settings` are further ones of its configuration, by name. */
export async function startElasticsearch(
  settings: Readonly<Record<string, string>> = {},
): Promise<SearchServer> {
  const folder = installed(elasticsearch);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-elasticsearch-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const process = await new ServerProcess({
    command: join(jdk(JDK), 'bin/java'),
    args: [
      '-Xms256m',
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false',
      '--enable-native-access=ALL-UNNAMED',
      '-cp',
      `${folder}:${join(folder, 'lib')}/*`,
      'EsMain',
      join(folder, 'home'),
      String(port),
      join(data, 'data'),
      ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
    ],
    cwd: data,
    ready: () => answers(`${url}/_cluster/health?wait_for_status=yellow&timeout=1s`),
  }).start();
  return {
    url,
    port,
    process,
    async close() {
      await process.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
