/** The options of everything that speaks to AWS, in both of Fluent Bit's spellings, and what they come to. */
import { ignored, integer, string } from '../../../src/plugin.ts';
import type { OptionProblem, OptionValues } from '../../../src/plugin.ts';
import { checkHttpDestination, httpConnectionOptions } from '../http-destination.ts';
import { parseEndpoint } from './endpoint.ts';

const region = string()
  .optional()
  .describe(
    'AWS region. Default: AWS_REGION or AWS_DEFAULT_REGION of the environment, then that of the profile.',
  );
const roleArn = string()
  .optional()
  .describe('ARN of a role that is assumed with the credentials that were found.');
const externalId = string().optional().describe('External id for assuming the role.');
const stsEndpoint = string()
  .optional()
  .describe('Endpoint of STS for assuming roles. Default: that of the region.');
const profile = string()
  .optional()
  .describe(
    'Profile of ~/.aws/config and ~/.aws/credentials. Default: AWS_PROFILE, else the environment goes first.',
  );

/** The keys of the AWS services' own outputs (s3, cloudwatch_logs …). */
export const awsOptions = {
  region,
  role_arn: roleArn,
  external_id: externalId,
  sts_endpoint: stsEndpoint,
  profile,
};

/** The keys of outputs that can sign their requests for AWS (opensearch, es, http …). */
export const awsAuthOptions = {
  aws_region: region,
  aws_role_arn: roleArn,
  aws_external_id: externalId,
  aws_sts_endpoint: stsEndpoint,
  aws_profile: profile,
};

/** All that an AWS service's own output has in common with the others: {@link awsOptions}, its endpoint, its connections. */
export const awsDestinationOptions = {
  ...awsOptions,
  endpoint: string()
    .optional()
    .describe('Where the service is instead of its own address in the region: `[http[s]://]host[:port]`.'),
  port: integer({ min: 1, max: 65_535 })
    .optional()
    .describe('Port of an endpoint that is written without one.'),
  extra_user_agent: string().optional().describe('Added to the user agent of the requests.'),
  auto_retry_requests: ignored('a failed request is sent again by the queue, with a growing pause'),
  ...httpConnectionOptions,
  tls: httpConnectionOptions.tls
    .default(true)
    .describe('Encrypts the connection; an endpoint with http:// is not encrypted either.'),
};

export type AwsOptionValues = OptionValues<typeof awsOptions>;
export type AwsDestinationValues = OptionValues<typeof awsDestinationOptions>;

/** The values of {@link awsAuthOptions} under the names of {@link awsOptions}. */
export function fromAwsAuthOptions(options: OptionValues<typeof awsAuthOptions>): AwsOptionValues {
  return {
    region: options.aws_region,
    role_arn: options.aws_role_arn,
    external_id: options.aws_external_id,
    sts_endpoint: options.aws_sts_endpoint,
    profile: options.aws_profile,
  };
}

/** The problems of {@link awsOptions}, for `check`; `prefix` is `aws_` where the keys have it. */
export function checkAws(options: AwsOptionValues, prefix: '' | 'aws_' = ''): OptionProblem[] {
  const problems: OptionProblem[] = [];
  if (options.region !== undefined && !/^[a-z0-9-]{1,63}$/.test(options.region)) {
    problems.push({ key: `${prefix}region`, message: 'is not a region: write it like eu-central-1' });
  }
  if (options.role_arn !== undefined && !/^arn:[\w-]+:iam::\d{12}:role\/\S+$/.test(options.role_arn)) {
    problems.push({
      key: `${prefix}role_arn`,
      message: 'is not the ARN of a role: write it like arn:aws:iam::123456789012:role/NAME',
    });
  }
  for (const key of ['external_id', 'sts_endpoint'] as const) {
    if (options[key] !== undefined && options.role_arn === undefined) {
      problems.push({
        key: `${prefix}${key}`,
        message: `has no effect without ${prefix}role_arn`,
        level: 'warning',
      });
    }
  }
  return [...problems, ...endpointProblems(`${prefix}sts_endpoint`, options.sts_endpoint)];
}

/** The problems of {@link awsDestinationOptions}, for `check`. */
export function checkAwsDestination(options: AwsDestinationValues): OptionProblem[] {
  const problems = [
    ...checkAws(options),
    ...endpointProblems('endpoint', options.endpoint),
    ...checkHttpDestination({ ...options, host: 'amazonaws.com' }),
  ];
  if (!options.tls && options.endpoint === undefined) {
    problems.push({
      key: 'tls',
      message: 'is off without an endpoint: AWS itself takes no records unencrypted',
    });
  }
  return problems;
}

function endpointProblems(key: string, text: string | undefined): OptionProblem[] {
  if (text === undefined || parseEndpoint(text, { tls: true }) !== undefined) return [];
  return [{ key, message: 'is not an endpoint: write [https://]host[:port]' }];
}
