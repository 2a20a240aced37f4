/** The hosts that bulk requests go to: an HTTP client for each, with the options that all outputs share, and signatures for AWS. */
import { loadHttpClient, RetryableError } from '../../../src/plugin.ts';
import type {
  HttpClient,
  HttpRequest,
  HttpResponse,
  OptionValues,
  OutputContext,
} from '../../../src/plugin.ts';
import { reportVerification } from '../destination.ts';
import { httpClientOptions } from '../http-destination.ts';
import type { httpConnectionOptions } from '../http-destination.ts';
import type { AwsSigning } from './aws.ts';

/** Signs a request: the headers to send, by the origin that it goes to. */
export type SignRequest = (origin: string, request: HttpRequest) => Promise<HttpRequest['headers']>;

/** A host and its port. */
export interface HostPort {
  host: string;
  port: number;
}

/** One host, as the clients of the stores use it: under their connections. */
export class BulkNode {
  readonly origin: string;
  private readonly client: HttpClient;
  private readonly signing: AwsSigning | undefined;

  constructor(client: HttpClient, signing: AwsSigning | undefined) {
    this.client = client;
    this.origin = client.origin;
    this.signing = signing;
  }

  /** Where requests go, for messages. */
  get place(): string {
    return this.client.place;
  }

  /** One request. Throws as {@link HttpClient.request} does. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const { signing } = this;
    if (signing === undefined) return this.client.request(request);
    let headers: HttpRequest['headers'];
    try {
      headers = await signing.sign(this.origin, request);
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      throw new RetryableError(`${this.place}: the request was not sent: ${error.message}`, { cause: error });
    }
    const response = await this.client.request({ ...request, headers });
    signing.answered(response);
    return response;
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/** Opens the hosts' clients; connects to none. Throws for certificates that cannot be used. */
export async function openNodes(
  hosts: readonly HostPort[],
  options: OptionValues<typeof httpConnectionOptions>,
  context: OutputContext,
  signing: AwsSigning | undefined,
): Promise<BulkNode[]> {
  reportVerification(options, context);
  const { HttpClient: Client } = await loadHttpClient();
  const nodes: BulkNode[] = [];
  for (const { host, port } of hosts)
    nodes.push(new BulkNode(await Client.create(httpClientOptions({ ...options, host, port })), signing));
  return nodes;
}

/** A host as it is written in `hosts`: `name[:port]`, `[::1]:9200`; undefined when it is none. */
export function parseHost(text: string, defaultPort: number): HostPort | undefined {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^\s/?#@:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
