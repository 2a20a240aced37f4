/**
 * Credentials for AWS: looked for where every AWS tool looks, in that order, a role assumed on top where one is configured, and fetched
 * anew before they run out.
 *
 * Source of the order: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
import type * as providers from '@aws-sdk/credential-providers';
import type { AwsCredentialIdentity, AwsCredentialIdentityProvider } from '@smithy/types';
import { RetryableError } from '../../../src/plugin.ts';
import type { AwsHttpHandler } from './http-handler.ts';

/** Fetched anew when they are good for no longer than this. Milliseconds. */
const MARGIN_MS = 5 * 60_000;
/** After a renewal that went wrong while the old ones still work. Milliseconds. */
const PAUSE_MS = 30_000;
/** A source's own words in a message, characters. */
const SHOWN = 200;

export interface CredentialOptions {
  region: string;
  profile: string | undefined;
  roleArn: string | undefined;
  externalId: string | undefined;
  stsEndpoint: string | undefined;
  handler: AwsHttpHandler;
  environment: NodeJS.ProcessEnv;
}

/** There are none, or the role cannot be assumed. The message is a clause without a host. */
export class AwsCredentialsError extends RetryableError {
  override name = 'AwsCredentialsError';
}

interface Source {
  /** As it stands in a message. */
  name: string;
  find: () => Promise<AwsCredentialIdentity>;
}

export class AwsCredentials {
  /** For clients of the SDK, which ask at every request; the memory is ours. */
  readonly provider: AwsCredentialIdentityProvider;
  private readonly find: () => Promise<AwsCredentialIdentity>;
  private held: AwsCredentialIdentity | undefined;
  private pending: Promise<AwsCredentialIdentity> | undefined;
  private notBefore = 0;

  constructor(find: () => Promise<AwsCredentialIdentity>) {
    this.find = find;
    this.provider = Object.assign(() => this.get(), { memoized: true });
  }

  /** Credentials that are good for some minutes. Throws {@link AwsCredentialsError}. */
  async get(): Promise<AwsCredentialIdentity> {
    const { held } = this;
    const left = held?.expiration === undefined ? Infinity : held.expiration.getTime() - Date.now();
    if (held !== undefined && (left > MARGIN_MS || (left > 0 && performance.now() < this.notBefore)))
      return held;
    try {
      this.pending ??= this.find();
      this.held = await this.pending;
      return this.held;
    } catch (error) {
      if (held === undefined || left <= 0) throw error;
      this.notBefore = performance.now() + PAUSE_MS;
      return held;
    } finally {
      this.pending = undefined;
    }
  }

  /** They were refused: the next request looks for them anew (a file may have been changed). */
  forget(): void {
    this.held = undefined;
  }

  /** A text without the secret parts of the credentials in use, which AWS quotes in some of its answers. */
  redact(text: string): string {
    let shown = text;
    for (const secret of [this.held?.secretAccessKey, this.held?.sessionToken])
      if (secret !== undefined && secret !== '') shown = shown.replaceAll(secret, '***');
    return shown;
  }
}

/** Loads the SDK's sources and puts them in order. Looks for nothing before it is asked. */
export async function openCredentials(options: CredentialOptions): Promise<AwsCredentials> {
  const library = await import('@aws-sdk/credential-providers');
  const sources = sourcesOf(library, options);
  const found = new AwsCredentials(() => firstOf(sources));
  const { roleArn, externalId, stsEndpoint, region, handler } = options;
  if (roleArn === undefined) return found;
  const assume = library.fromTemporaryCredentials({
    masterCredentials: found.provider,
    params: {
      RoleArn: roleArn,
      RoleSessionName: 'tailrace',
      ...(externalId === undefined ? {} : { ExternalId: externalId }),
    },
    clientConfig: {
      region,
      requestHandler: handler,
      maxAttempts: 1,
      ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }),
    },
  });
  return new AwsCredentials(async () => {
    // Its own errors stay as they are.
    await found.get();
    try {
      return await assume();
    } catch (error) {
      const said = found.redact(wordsOf(error));
      found.forget();
      throw new AwsCredentialsError(
        `the role ${roleArn} cannot be assumed: check that its trust policy lets these credentials in, and role_arn, external_id, sts_endpoint (${said})`,
        { cause: error },
      );
    }
  });
}

function sourcesOf(
  library: typeof providers,
  { profile, region, handler, environment }: CredentialOptions,
): Source[] {
  const clientConfig = { requestHandler: handler, maxAttempts: 1 };
  const parentClientConfig = { region, requestHandler: handler };
  const chosen = profile ?? environment['AWS_PROFILE'];
  const sources: Source[] = [];
  if (chosen === undefined || chosen === '') {
    sources.push({
      name: 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment',
      find: library.fromEnv(),
    });
  }
  sources.push({
    name: `profile "${chosen ?? 'default'}" of ~/.aws/config and ~/.aws/credentials`,
    find: library.fromIni({
      ...(chosen === undefined ? {} : { profile: chosen }),
      clientConfig,
      parentClientConfig,
      ignoreCache: true,
    }),
  });
  sources.push({
    name: 'web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN)',
    find: library.fromTokenFile({ clientConfig: { ...clientConfig, region }, parentClientConfig }),
  });
  const container =
    environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] ??
    environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  if (container !== undefined && container !== '') {
    sources.push({
      name: `container (${container})`,
      find: library.fromHttp({ maxRetries: 1 }),
    });
  } else if (!/^true$/i.test(environment['AWS_EC2_METADATA_DISABLED'] ?? '')) {
    sources.push({
      name: 'instance metadata (169.254.169.254)',
      find: library.fromInstanceMetadata({ maxRetries: 1 }),
    });
  }
  return sources;
}

async function firstOf(sources: readonly Source[]): Promise<AwsCredentialIdentity> {
  const reasons: string[] = [];
  for (const { name, find } of sources) {
    try {
      return await find();
    } catch (error) {
      reasons.push(`${name}: ${wordsOf(error)}`);
      // What is there and does not work must not be passed over for another identity.
      if (isThere(error)) break;
    }
  }
  throw new AwsCredentialsError(
    `there are no AWS credentials that can be used: give the agent an identity in one of these places, or set profile or role_arn (looked at ${reasons.join('; ')})`,
  );
}

/** The SDK's word for a source that is configured and fails, as against one that is not configured. */
function isThere(error: unknown): boolean {
  return !(error instanceof Error && 'tryNextLink' in error && error.tryNextLink === true);
}

function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const [line = ''] = text.split('\n');
  // What follows is the command line, of which nobody knows what it holds.
  if (line.startsWith('Command failed')) return 'its credential_process failed';
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line.replace(/\.$/, '');
}
