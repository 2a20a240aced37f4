/** What the outputs share that send UDP datagrams: the options of a destination that has no connections, and the client. */
import { ignored, integer, loadDatagramClient, netOptions } from '../../src/plugin.ts';
import type { DatagramClient, OptionValues } from '../../src/plugin.ts';
import { hostOption, preferredFamily } from './destination.ts';

const NO_CONNECTIONS = 'UDP has no connections';

/** Those of `net.*` that mean something without connections, the others ignored. */
const datagramNetOptions = {
  ...netOptions,
  'net.io_timeout': ignored(NO_CONNECTIONS),
  'net.keepalive': ignored(NO_CONNECTIONS),
  'net.keepalive_idle_timeout': ignored(NO_CONNECTIONS),
  'net.keepalive_max_recycle': ignored(NO_CONNECTIONS),
  'net.max_worker_connections': ignored(NO_CONNECTIONS),
  'net.proxy_env_ignore': ignored('UDP goes through no proxy'),
  'net.tcp_keepalive': ignored(NO_CONNECTIONS),
};

/** The options of a destination with its default port. */
export function datagramDestinationOptions(port: number) {
  return {
    host: hostOption,
    port: integer({ min: 1, max: 65_535 }).default(port).describe('Port.'),
    ...datagramNetOptions,
  };
}

type Values = Pick<
  OptionValues<ReturnType<typeof datagramDestinationOptions> & typeof netOptions>,
  | 'host'
  | 'port'
  | 'net.connect_timeout'
  | 'net.source_address'
  | 'net.dns.prefer_ipv4'
  | 'net.dns.prefer_ipv6'
>;

/** Opens the client; it looks the name up at its first use. */
export async function openDatagramClient(options: Values): Promise<DatagramClient> {
  const { DatagramClient: Client } = await loadDatagramClient();
  return new Client({
    host: options.host,
    port: options.port,
    connectTimeoutMs: options['net.connect_timeout'] * 1000,
    sourceAddress: options['net.source_address'],
    prefer: preferredFamily(options),
  });
}
