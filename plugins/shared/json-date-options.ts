/** The options that say how an event's time goes into a JSON record. */
import { enumOf, JSON_DATE_FORMATS, string } from '../../src/plugin.ts';

export const jsonDateOptions = {
  json_date_key: string()
    .default('date')
    .describe("Key of the event's time in JSON formats; false for none."),
  json_date_format: enumOf(...JSON_DATE_FORMATS)
    .default('double')
    .describe('How the time is written: seconds with fraction, whole seconds, milliseconds, or a UTC date.'),
};

/** The key, undefined when the configuration says none. */
export function jsonDateKey(written: string): string | undefined {
  return /^(?:false|off|no)$/i.test(written.trim()) ? undefined : written;
}
