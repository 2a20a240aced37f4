/**
 * What all that speaks to AWS has in common.
 *
 *     options    awsDestinationOptions, checkAwsDestination    outputs of an AWS service: s3, cloudwatch_logs
 *                awsAuthOptions, checkAws, fromAwsAuthOptions  outputs that can sign for AWS: opensearch, es
 *     create     const aws = await openAws(options, context, 'logs')
 *                new CloudWatchLogsClient(aws.clientConfig)    any client of the SDK, on our connections, without its retries
 *                await aws.makeSigner('es')                    signs plain HTTP requests
 *     deliver    aws.call('PutLogEvents', signal, (options) => client.send(command, options))
 *                throws AwsFault (RetryableError) or AwsRefusal (SplitError), both with the service's `code`
 *     close      await aws.close()
 *
 * This module is light; the SDK is loaded by `openAws`. Outputs load their own client of it in `create`, too.
 */
import type { AwsCredentialIdentityProvider } from '@smithy/types';
import type { OptionValues, OutputContext } from '../../../src/plugin.ts';
import { reportVerification } from '../destination.ts';
import type { httpConnectionOptions } from '../http-destination.ts';
import { openCredentials } from './credentials.ts';
import type { AwsCredentials } from './credentials.ts';
import { parseEndpoint } from './endpoint.ts';
import { AwsFault, awsError } from './failure.ts';
import type { AwsHttpHandler } from './http-handler.ts';
import type { AwsOptionValues } from './options.ts';
import { findRegion } from './region.ts';
import type { Sign } from './sign.ts';

export { AwsFault, AwsRefusal } from './failure.ts';
export {
  awsAuthOptions,
  awsDestinationOptions,
  checkAws,
  checkAwsDestination,
  fromAwsAuthOptions,
} from './options.ts';

/** What the options come to: {@link AwsOptionValues}, the connection's, and where there are such the endpoint and the user agent. */
export type AwsSettings = AwsOptionValues &
  OptionValues<typeof httpConnectionOptions> & {
    endpoint?: string | undefined;
    port?: number | undefined;
    extra_user_agent?: string | undefined;
  };

/** What the constructor of any client of the SDK takes. */
export interface AwsClientConfig {
  region: string;
  credentials: AwsCredentialIdentityProvider;
  requestHandler: AwsHttpHandler;
  endpoint?: string;
  /** One: the queue sends again. */
  maxAttempts: 1;
  customUserAgent: [string, string?][];
}

/** Options of the SDK's `send`. */
export interface SendOptions {
  abortSignal: AbortSignal;
}

/** AWS as one output uses it. */
export class Aws {
  readonly clientConfig: AwsClientConfig;
  /** The service's address, for messages. */
  readonly place: string;
  private readonly credentials: AwsCredentials;

  constructor(clientConfig: AwsClientConfig, credentials: AwsCredentials, place: string) {
    this.clientConfig = clientConfig;
    this.credentials = credentials;
    this.place = place;
  }

  get region(): string {
    return this.clientConfig.region;
  }

  /**
   * One request of a client: `send` makes it. Throws AwsFault or AwsRefusal for an answer that is an error, another RetryableError when
   * there was no answer or there are no credentials, and the signal's reason, at once, when that is aborted.
   */
  async call<T>(action: string, signal: AbortSignal, send: (options: SendOptions) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      // The SDK does not look at the signal while it waits for credentials.
      await unlessAborted(this.credentials.get(), signal);
      return await send({ abortSignal: signal });
    } catch (error) {
      throw this.failure(error, action, signal);
    }
  }

  /** A signer of plain HTTP requests; `service` is its name in signatures (`es`, `aoss`). */
  async makeSigner(service: string): Promise<Sign> {
    const { makeSigner } = await import('./sign.ts');
    return makeSigner({ credentials: this.credentials.provider, region: this.region, service });
  }

  /** The credentials were refused by a request that {@link call} did not make: they are looked for anew. */
  forgetCredentials(): void {
    this.credentials.forget();
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.clientConfig.requestHandler.close();
  }

  private failure(error: unknown, action: string, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    const failure = awsError(error, this.place, action, (text) => this.credentials.redact(text));
    if (failure instanceof AwsFault && failure.credentials) this.credentials.forget();
    return failure;
  }
}

/**
 * Makes what an output needs to speak to a service (`logs`, `s3`, `es`: the first part of its host name, for messages). Connects to
 * nothing. Throws when there is no region.
 */
export async function openAws(settings: AwsSettings, context: OutputContext, service: string): Promise<Aws> {
  reportVerification(settings, context);
  const region = await findRegion(settings.region, settings.profile, process.env);
  const { AwsHttpHandler: Handler } = await import('./http-handler.ts');
  const requestHandler = new Handler(settings);
  const endpoint = settings.endpoint === undefined ? undefined : parseEndpoint(settings.endpoint, settings);
  const credentials = await openCredentials({
    region,
    profile: settings.profile,
    roleArn: settings.role_arn,
    externalId: settings.external_id,
    stsEndpoint:
      settings.sts_endpoint === undefined
        ? undefined
        : parseEndpoint(settings.sts_endpoint, { tls: true })?.href,
    handler: requestHandler,
    environment: process.env,
  });
  const extra = (settings.extra_user_agent ?? '').split(/\s+/).filter((word) => word !== '');
  return new Aws(
    {
      region,
      credentials: credentials.provider,
      requestHandler,
      ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
      maxAttempts: 1,
      customUserAgent: [['Tailrace', context.agentVersion], ...extra.map(productOf)],
    },
    credentials,
    endpoint?.origin ?? `https://${service}.${region}.amazonaws.com`,
  );
}

function productOf(word: string): [string, string?] {
  const slash = word.indexOf('/');
  return slash === -1 ? [word] : [word.slice(0, slash), word.slice(slash + 1)];
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
