/** OpenSearch, from the jars of its runner and a main of ours: HTTP and the common ingest processors, no security. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answers, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { jdk, mavenCopy, run } from '../support/tools.ts';
import type { SearchServer } from './search-server.ts';

const JDK = 25;
const HERE = join(import.meta.dirname, 'opensearch');
const pom = readFileSync(join(HERE, 'pom.xml'), 'utf8');
const main = readFileSync(join(HERE, 'OsMain.java'), 'utf8');

export const opensearch: Service = {
  name: 'opensearch',
  version: '3.8.0',
  recipe: pom + main,
  async install(folder) {
    const java = jdk(JDK);
    const lib = join(folder, 'lib');
    await mavenCopy(folder, pom, lib);
    writeFileSync(join(folder, 'OsMain.java'), main);
    await run(join(java, 'bin/javac'), ['-cp', `${lib}/*`, '-d', folder, join(folder, 'OsMain.java')]);
  },
};

/** Starts OpenSearch on a free port of 127.0.0.1; `settings` are further ones of its configuration, by name. */
export async function startOpensearch(
  settings: Readonly<Record<string, string>> = {},
): Promise<SearchServer> {
  const folder = installed(opensearch);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-opensearch-'));
  mkdirSync(join(data, 'config'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const process = await new ServerProcess({
    command: join(jdk(JDK), 'bin/java'),
    args: [
      '-Xms256m',
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '--enable-native-access=ALL-UNNAMED',
      '-cp',
      `${folder}:${join(folder, 'lib')}/*`,
      'OsMain',
      String(port),
      data,
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
