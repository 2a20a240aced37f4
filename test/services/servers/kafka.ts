/** Apache Kafka as one KRaft process: its jars by Maven, everything else in a folder of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { makeCertificates } from '../support/certificates.ts';
import type { Certificates } from '../support/certificates.ts';
import { freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { jdk, mavenCopy, run } from '../support/tools.ts';

const HERE = join(import.meta.dirname, 'kafka');
const pom = readFileSync(join(HERE, 'pom.xml'), 'utf8');
/** Names the cluster; the same at every start. */
const CLUSTER_ID = 'dGFpbHJhY2UtdGVzdHM0NA';

export const kafka: Service = {
  name: 'kafka',
  version: '4.4.0',
  recipe: pom,
  install: async (folder) => {
    jdk(17);
    await mavenCopy(folder, pom, join(folder, 'lib'));
  },
};

export const PLAIN_USER = { username: 'agent', password: 'secret' };
export const SCRAM_USER = { username: 'shipper', password: 'scram-secret' };

export interface KafkaServer {
  /** `host:port` of the listener without encryption and authentication. */
  broker: string;
  /** The same with SASL. */
  saslBroker: string;
  /** The same with TLS, and with a certificate that has expired. */
  tlsBroker: string;
  expiredBroker: string;
  certificates: Certificates;
  process: ServerProcess;
  /** Makes a topic, with settings of its own. */
  createTopic(name: string, partitions?: number, settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** Starts Kafka on free ports of 127.0.0.1. `settings` go over those of server.properties. */
export async function startKafka(settings: Readonly<Record<string, string>> = {}): Promise<KafkaServer> {
  const folder = installed(kafka);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-kafka-'));
  const certificates = await makeCertificates(data);
  const ports = {
    PLAIN: await freePort(),
    CONTROLLER: await freePort(),
    SASL: await freePort(),
    TLS: await freePort(),
    EXPIRED: await freePort(),
  };
  let properties = readFileSync(join(HERE, 'server.properties'), 'utf8').replaceAll('DATA', data);
  for (const [name, port] of Object.entries(ports))
    properties = properties.replaceAll(`${name}_PORT`, String(port));
  for (const [key, value] of Object.entries(settings)) properties += `${key}=${value}\n`;
  const config = join(data, 'server.properties');
  writeFileSync(config, properties);

  const java = join(jdk(17), 'bin/java');
  const classes = ['-cp', `${join(folder, 'lib')}/*`];
  await run(java, [
    ...classes,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    CLUSTER_ID,
    '-c',
    config,
    ...['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${SCRAM_USER.username},password=${SCRAM_USER.password}]`,
    ]),
  ]);
  const broker = `127.0.0.1:${ports.PLAIN}`;
  const withAdmin = async <T>(use: (admin: Admin) => Promise<T>): Promise<T> => {
    const admin = new Admin({
      clientId: 'tests',
      bootstrapBrokers: [broker],
      retries: 0,
      connectTimeout: 2000,
    });
    try {
      return await use(admin);
    } finally {
      await admin.close();
    }
  };
  const process = new ServerProcess({
    command: java,
    args: ['-Xmx512m', '-XX:+UseSerialGC', ...classes, 'kafka.Kafka', config],
    cwd: data,
    // An open port says nothing: it must answer for its topics.
    ready: () => withAdmin((admin) => admin.listTopics().then(() => true)),
  });
  const close = async (): Promise<void> => {
    await process.close();
    rmSync(data, { recursive: true, force: true });
  };
  try {
    await process.start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    broker,
    saslBroker: `127.0.0.1:${ports.SASL}`,
    tlsBroker: `127.0.0.1:${ports.TLS}`,
    expiredBroker: `127.0.0.1:${ports.EXPIRED}`,
    certificates,
    process,
    createTopic: (name, partitions = 1, topicSettings = {}) =>
      withAdmin(async (admin) => {
        await admin.createTopics({
          topics: [name],
          partitions,
          replicas: 1,
          configs: Object.entries(topicSettings).map(([key, value]) => ({ name: key, value })),
        });
      }),
    close,
  };
}
