/** The options of an input that listens by UDP alone. */
import { boolean, ignored, size } from '../../src/plugin.ts';
import type { Option, OptionProblem, OptionValues } from '../../src/plugin.ts';
import { checkAddress, listenerOptions } from './listener.ts';

const NO_CONNECTIONS = 'datagrams come without connections';

type StreamOptions = ReturnType<typeof listenerOptions>;
type DatagramOptions = Pick<StreamOptions, 'listen' | 'port' | 'host' | 'ipv6' | 'net.share_port'> & {
  tls: Option<boolean>;
  receive_buffer_size: Option<number | undefined>;
};

/** The options with the default port; those of connections are there, without effect. */
export function datagramOptions(port: number): DatagramOptions {
  const streams = listenerOptions(port);
  const without = Object.fromEntries(
    Object.keys(streams)
      .filter((key) => /^(?:net|tls)\./.test(key))
      .map((key) => [key, ignored(NO_CONNECTIONS)]),
  );
  return {
    ...without,
    listen: streams.listen,
    port: streams.port,
    host: streams.host,
    ipv6: streams.ipv6,
    'net.share_port': streams['net.share_port'],
    tls: boolean().default(false).describe('Not there: datagrams are not encrypted.'),
    receive_buffer_size: size()
      .optional()
      .describe(
        "Size of the kernel's receive buffer, bytes; 8 MB are asked for without it. The kernel gives no more than net.core.rmem_max.",
      ),
  };
}

/** The problems of these options, for `check`. */
export function checkDatagrams(options: OptionValues<DatagramOptions>): OptionProblem[] {
  const problems = checkAddress(options.listen, {
    encrypted: false,
    authenticated: false,
    verifiesClients: false,
  });
  if (options.tls)
    problems.push({ key: 'tls', message: 'is not there by UDP: datagrams are not encrypted; use tcp' });
  return problems;
}
