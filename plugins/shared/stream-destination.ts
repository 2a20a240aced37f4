/** What the outputs share that write to a TCP, TLS or unix socket: the options of their destination, and the client made of them. */
import { ignored, integer, loadStreamClient, netOptions, tlsOptions } from '../../src/plugin.ts';
import type {
  Option,
  OptionValues,
  OutputContext,
  StreamClient,
  StreamConnection,
} from '../../src/plugin.ts';
import { hostOption, preferredFamily, reportVerification, tlsSettings } from './destination.ts';

const NO_PROXY = 'only outputs that speak HTTP go through a proxy';

const fields = {
  host: hostOption,
  ...tlsOptions,
  'tls.proxy.ca_file': ignored(NO_PROXY),
  'tls.proxy.ca_path': ignored(NO_PROXY),
  'tls.proxy.verify': ignored(NO_PROXY),
  'tls.proxy.verify_hostname': ignored(NO_PROXY),
  ...netOptions,
  'net.proxy_env_ignore': ignored(NO_PROXY),
};

type Fields = typeof fields & { port: Option<number> };
export type StreamDestinationValues = OptionValues<Fields>;

/** The options of a destination with its default port. */
export function streamDestinationOptions(port: number): Fields {
  return { ...fields, port: integer({ min: 1, max: 65_535 }).default(port).describe('Port.') };
}

/**
 * Opens the client; `more.path` names a unix socket instead of host and port, `more.greet` is what the protocol says first on a new
 * connection, `more.unanswered` that it has no answers. Throws for certificates that cannot be used.
 */
export async function openStreamClient(
  options: StreamDestinationValues,
  context: OutputContext,
  more: {
    path?: string | undefined;
    unanswered?: boolean;
    greet?: (connection: StreamConnection) => Promise<void>;
  } = {},
): Promise<StreamClient> {
  reportVerification(options, context);
  const { StreamClient: Client } = await loadStreamClient();
  const { host, port } = options;
  return new Client({
    to: more.path === undefined ? { host, port } : { path: more.path },
    tls: tlsSettings(options),
    connectTimeoutMs: options['net.connect_timeout'] * 1000,
    ioTimeoutMs: options['net.io_timeout'] * 1000,
    keepAlive: options['net.keepalive'],
    keepAliveIdleMs: options['net.keepalive_idle_timeout'] * 1000,
    maxUses: options['net.keepalive_max_recycle'],
    maxConnections: options['net.max_worker_connections'],
    sourceAddress: options['net.source_address'],
    prefer: preferredFamily(options),
    unanswered: more.unanswered ?? false,
    greet: more.greet,
  });
}
