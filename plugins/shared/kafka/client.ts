/** The Kafka library, loaded when a pipeline names Kafka, and what its clients are made with. */
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type * as kafka from '@platformatic/kafka';
import { loadTlsMaterial } from '../../../src/plugin.ts';
import type { TlsMaterial, TlsSettings } from '../../../src/plugin.ts';
import type { KafkaSettings } from './settings.ts';

export type KafkaLibrary = typeof kafka;

/** How long what is known of topics and leaders is good. Milliseconds. */
const METADATA_AGE_MS = 60_000;

export class KafkaClient {
  readonly library: KafkaLibrary;
  readonly settings: KafkaSettings;
  /** Where it connects to, as it may be shown. */
  readonly place: string;
  /** What connections are made with; read by the library whenever it makes one. */
  private readonly tls: ConnectionOptions | undefined;
  private readonly material: TlsMaterial | undefined;

  private constructor(library: KafkaLibrary, settings: KafkaSettings, material: TlsMaterial | undefined) {
    this.library = library;
    this.settings = settings;
    this.place = `kafka://${settings.brokers.join(',')}`;
    this.material = material;
    this.tls = material === undefined ? undefined : { ...material.options };
  }

  /** Loads the library and reads the certificates. Connects to nothing. Throws for certificates that cannot be used. */
  static async create(settings: KafkaSettings, tls: TlsSettings | undefined): Promise<KafkaClient> {
    let material: TlsMaterial | undefined;
    if (tls !== undefined) {
      const { TlsMaterial: Material } = await loadTlsMaterial();
      material = new Material(tls);
    }
    return new KafkaClient(await import('@platformatic/kafka'), settings, material);
  }

  /** Takes changed certificates for the connections from now on. Throws a sentence when the new files cannot be used. */
  refresh(): void {
    if (this.tls === undefined || this.material?.refresh() !== true) return;
    Object.assign(this.tls, this.material.options);
  }

  /** What all clients are made with. The library never tries again by itself: that is for the pipeline to say. */
  get options(): kafka.BaseOptions & kafka.ConnectionOptions {
    const { settings, tls } = this;
    const { mechanism, username, password } = settings;
    return {
      clientId: settings.clientId,
      bootstrapBrokers: [...settings.brokers],
      connectTimeout: settings.connectTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      timeout: settings.ackTimeoutMs,
      retries: 0,
      metadataMaxAge: METADATA_AGE_MS,
      autocreateTopics: settings.autoCreateTopics,
      ...(tls === undefined ? {} : { tls, ...serverName(tls, settings.brokers) }),
      ...(mechanism === undefined
        ? {}
        : { sasl: { mechanism, username: username ?? '', password: password ?? '' } }),
    };
  }
}

/** A host name goes into the handshake, so that a server for several can choose its certificate; an address cannot. */
function serverName(
  { servername }: ConnectionOptions,
  brokers: readonly string[],
): { tlsServerName?: string | boolean } {
  if (servername !== undefined) return { tlsServerName: servername };
  const named = brokers.every((broker) => !broker.startsWith('[') && isIP(broker.replace(/:\d+$/, '')) === 0);
  return named ? { tlsServerName: true } : {};
}
