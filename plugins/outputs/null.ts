/** The `null` output: takes everything, writes nothing. For measurements, and for tags that shall go nowhere. */
import { allDelivered, defineOutput, ignored } from '../../src/plugin.ts';

const NOTHING_WRITTEN = 'this output writes nothing';

export default defineOutput({
  name: 'null',
  summary: 'Discards all records',
  options: {
    format: ignored(NOTHING_WRITTEN),
    json_date_format: ignored(NOTHING_WRITTEN),
    json_date_key: ignored(NOTHING_WRITTEN),
  },
  traits: () => ({ payload: 'none', order: 'none' }),
  example: `pipeline:
  outputs:
    - name: null
      match: 'debug.*'
`,
  create() {
    return {
      deliver(_slices, signal) {
        return signal.aborted ? Promise.reject(signal.reason as Error) : Promise.resolve(allDelivered);
      },
    };
  },
});
