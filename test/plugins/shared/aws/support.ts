/** AWS for tests: settings with everything at its default, an environment without credentials but those given, and stand-ins. */
import { vi } from 'vitest';
import { awsDestinationOptions, openAws } from '../../../../plugins/shared/aws/index.ts';
import type { Aws } from '../../../../plugins/shared/aws/index.ts';
import { contextIn, optionsOf } from '../../../contract/support.ts';

export const CANARY_SECRET = 'canary/SECRET+key';
export const CANARY_TOKEN = 'canary/SESSION+token==';

const NOWHERE = '/nonexistent/tailrace-tests';

/** Nothing of the machine's own AWS settings, and these variables. */
export function stubAws(variables: Record<string, string> = {}): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  const all = {
    AWS_CONFIG_FILE: NOWHERE,
    AWS_SHARED_CREDENTIALS_FILE: NOWHERE,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...variables,
  };
  for (const [name, value] of Object.entries(all)) vi.stubEnv(name, value);
}

/** Credentials of the environment. */
export const KEYS = {
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: CANARY_SECRET,
  AWS_SESSION_TOKEN: CANARY_TOKEN,
};

/** AWS with options as written. */
export function awsWith(written: Record<string, string>): Promise<Aws> {
  const options = optionsOf(awsDestinationOptions, {
    region: 'eu-central-1',
    'net.proxy_env_ignore': 'on',
    ...written,
  });
  return openAws(options, contextIn('/'), 'logs');
}
