/** Values of options as a configuration gives them that names none. */
import type { OptionFields, OptionValues } from '../../src/config/schema.ts';

export function defaultsOf<F extends OptionFields>(fields: F): OptionValues<F> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, { spec }]) => [key, spec.defaultValue]),
  ) as OptionValues<F>;
}
