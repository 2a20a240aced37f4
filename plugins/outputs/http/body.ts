/** Request bodies in the formats of the http output. */
import { jsonEncoder, loadGelf, loadMsgpack } from '../../../src/plugin.ts';
import type { ByteSink, JsonDateFormat, Rejection, Slice } from '../../../src/plugin.ts';

export interface BodyOptions {
  format: 'json' | 'json_lines' | 'json_stream' | 'msgpack' | 'gelf';
  dateKey: string | undefined;
  dateFormat: JsonDateFormat;
  gelf: { timestamp: string; host: string; shortMessage: string; fullMessage: string; level: string };
}

export interface BodyFormat {
  contentType: string;
  /** Appends the records; returns those that the format cannot take, indexes from 0 through the slices. */
  write(slices: readonly Slice[], sink: ByteSink): Rejection[];
}

const NOTHING_REJECTED: Rejection[] = [];

export async function makeBodyFormat(options: BodyOptions): Promise<BodyFormat> {
  const { format, dateKey, dateFormat } = options;
  switch (format) {
    case 'json':
    case 'json_lines':
    case 'json_stream': {
      const encode = jsonEncoder({ layout: format, dateKey, dateFormat });
      return {
        contentType: format === 'json_lines' ? 'application/x-ndjson' : 'application/json',
        write(slices, sink) {
          encode(slices, sink);
          return NOTHING_REJECTED;
        },
      };
    }
    case 'msgpack': {
      const { encodeMsgpack } = await loadMsgpack();
      return {
        contentType: 'application/msgpack',
        write(slices, sink) {
          for (const slice of slices) encodeMsgpack(slice, 0, slice.length, sink);
          return NOTHING_REJECTED;
        },
      };
    }
    case 'gelf':
      return gelfFormat(options.gelf);
  }
}

async function gelfFormat(keys: BodyOptions['gelf']): Promise<BodyFormat> {
  const { gelfText } = await loadGelf();
  return {
    contentType: 'application/json',
    write(slices, sink) {
      const rejected: Rejection[] = [];
      let index = 0;
      for (const slice of slices) {
        for (let at = 0; at < slice.length; at++, index++) {
          const text = gelfText(slice.record(at), slice.seconds(at), slice.nanos(at), keys);
          if (text === undefined)
            rejected.push({
              index,
              reason: `GELF needs a short message: the record has no "${keys.shortMessage}".`,
            });
          else sink.text(`${text}\n`);
        }
      }
      return rejected;
    },
  };
}
