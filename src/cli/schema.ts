/** `tailrace schema`: the JSON Schema of the configuration, made of the same declarations that check it. */
import { registry } from '../../plugins/index.ts';
import { configJsonSchema } from '../config/json-schema.ts';
import { EXIT } from './exit.ts';
import type { ExitCode } from './exit.ts';

export async function schema(): Promise<ExitCode> {
  process.stdout.write(`${JSON.stringify(await configJsonSchema(registry), null, 2)}\n`);
  return EXIT.ok;
}
