/** `aws_auth`: signatures for Amazon OpenSearch Service (`es`) and Serverless (`aoss`). */
import type { HttpResponse, OutputContext } from '../../../src/plugin.ts';
import { fromAwsAuthOptions, openAws } from '../aws/index.ts';
import { headersOf } from './exchange.ts';
import type { SignRequest } from './nodes.ts';
import type { BulkOptionValues } from './options.ts';

export interface AwsSigning {
  sign: SignRequest;
  /** Looks at an answer: credentials that were refused are looked for anew. */
  answered(response: Pick<HttpResponse, 'status'>): void;
  close(): Promise<void>;
}

/** Opens the credentials; asks nobody for them before the first request. Throws when there is no region. */
export async function openAwsSigning(options: BulkOptionValues, context: OutputContext): Promise<AwsSigning> {
  const { aws_service_name: service } = options;
  const aws = await openAws({ ...options, ...fromAwsAuthOptions(options) }, context, service);
  const sign = await aws.makeSigner(service);
  return {
    async sign(origin, { method, path, headers, body }) {
      const single = Object.fromEntries(
        Object.entries(headersOf(headers)).map(([name, value]) => [name, String(value)]),
      );
      return sign({ method, origin, path, headers: single, ...(body === undefined ? {} : { body }) });
    },
    answered({ status }) {
      if (status === 401 || status === 403) aws.forgetCredentials();
    },
    close: () => aws.close(),
  };
}
