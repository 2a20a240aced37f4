/** ExportLogsServiceRequest in protobuf → log records. */
import type { LogRecord } from '../../event/record.ts';
import { parseExact } from '../../event/json.ts';
import { doubleText, MapText } from './json-values.ts';
import { MAX_VALUE_DEPTH, OtlpError } from './model.ts';
import type { OtlpGroup, TakeRecord } from './model.ts';
import { FIXED32, FIXED64, LENGTH, ProtoReader, VARINT } from './proto-reader.ts';
import { RecordFields, setCount, setText } from './record-fields.ts';

/** Reads a request. Throws {@link OtlpError}: then what was taken of it is not to be used. */
export function decodeProtoLogs(bytes: Buffer, take: TakeRecord): void {
  const decoder = new LogsDecoder(bytes, take);
  try {
    decoder.request();
  } catch (error) {
    if (decoder.isTaking || error instanceof TypeError || error instanceof ReferenceError) throw error;
    throw error instanceof OtlpError ? error : new OtlpError('is no valid protobuf', { cause: error });
  }
}

class LogsDecoder {
  private readonly reader: ProtoReader;
  private readonly take: TakeRecord;
  /** It is with `take`: what is thrown there says nothing of the bytes. */
  isTaking = false;
  /** The value that {@link anyValue} read last is a map. */
  private isMap = false;

  constructor(bytes: Buffer, take: TakeRecord) {
    this.reader = new ProtoReader(bytes);
    this.take = take;
  }

  request(): void {
    const { reader } = this;
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1 && reader.type === LENGTH) this.resourceLogs();
    }
  }

  private resourceLogs(): void {
    const { reader } = this;
    // Fields come in any order: it is filled in as they come.
    const resource: LogRecord = {};
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (reader.type !== LENGTH) continue;
      if (field === 1) this.attributed(resource, 1, 2);
      else if (field === 2) this.scopeLogs(resource);
      else if (field === 3) setText(resource, 'schema_url', reader.text());
    }
    reader.leave(outer);
  }

  private scopeLogs(resource: LogRecord): void {
    const { reader } = this;
    const scope: LogRecord = {};
    const group: OtlpGroup = { resource, scope };
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (reader.type !== LENGTH) continue;
      if (field === 1) this.attributed(scope, 3, 4);
      else if (field === 2) this.logRecord(group);
      else if (field === 3) setText(scope, 'schema_url', reader.text());
    }
    reader.leave(outer);
  }

  /** Resource, and InstrumentationScope, whose name and version come in front. */
  private attributed(into: LogRecord, attributes: number, dropped: number): void {
    const { reader } = this;
    let texts: MapText | undefined;
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === attributes && reader.type === LENGTH) this.keyValue((texts ??= new MapText()), 1);
      else if (field === dropped && reader.type === VARINT)
        setCount(into, 'dropped_attributes_count', reader.uint());
      else if (field < attributes && reader.type === LENGTH)
        setText(into, field === 1 ? 'name' : 'version', reader.text());
    }
    reader.leave(outer);
    if (texts !== undefined) into['attributes'] = parseExact(texts.toString());
  }

  private logRecord(group: OtlpGroup): void {
    const { reader } = this;
    const into = new RecordFields();
    let attributes: MapText | undefined;
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      switch (reader.type) {
        case LENGTH:
          if (field === 3) into.text('severity_text', reader.text());
          else if (field === 5) into.body(this.anyValue(1), this.isMap);
          else if (field === 6) this.keyValue((attributes ??= new MapText()), 1);
          else if (field === 9) into.traceId(reader.encoded('hex'));
          else if (field === 10) into.spanId(reader.encoded('hex'));
          else if (field === 12) into.text('event_name', reader.text());
          break;
        case VARINT:
          if (field === 2) into.count('severity_number', reader.uint());
          else if (field === 7) into.count('dropped_attributes_count', reader.uint());
          break;
        case FIXED64:
          if (field === 1) into.time = reader.fixed64();
          else if (field === 11) into.observed = reader.fixed64();
          break;
        case FIXED32:
          if (field === 8) into.count('trace_flags', reader.fixed32());
          break;
        default:
      }
    }
    reader.leave(outer);
    if (attributes !== undefined) into.attributes(attributes.toString());
    const record = into.finish();
    this.isTaking = true;
    this.take(record, group);
    this.isTaking = false;
  }

  private keyValue(into: MapText, depth: number): void {
    const { reader } = this;
    let key = '';
    let text = 'null';
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (reader.type !== LENGTH) continue;
      if (field === 1) key = reader.text();
      else if (field === 2) text = this.anyValue(depth);
    }
    reader.leave(outer);
    into.set(key, text);
  }

  /** JSON text of a value; {@link isMap} says whether that is a map. */
  private anyValue(depth: number): string {
    if (depth > MAX_VALUE_DEPTH) throw new OtlpError(`nests deeper than ${MAX_VALUE_DEPTH} values`);
    const { reader } = this;
    let text = 'null';
    let isMap = false;
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (!isFieldOfValue(field, reader.type)) continue;
      text = this.valueText(field, depth);
      isMap = field === 6;
    }
    reader.leave(outer);
    this.isMap = isMap;
    return text;
  }

  private valueText(field: number, depth: number): string {
    const { reader } = this;
    switch (field) {
      case 1:
        return JSON.stringify(reader.text());
      case 2:
        return String(reader.boolean());
      case 3:
        return String(reader.int64());
      case 4:
        return doubleText(reader.double());
      case 5:
        return this.array(depth);
      case 6:
        return this.map(depth);
      default:
        return `"${reader.encoded('base64')}"`;
    }
  }

  private array(depth: number): string {
    const { reader } = this;
    let text = '[';
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1 && reader.type === LENGTH)
        text += `${text === '[' ? '' : ','}${this.anyValue(depth + 1)}`;
    }
    reader.leave(outer);
    return `${text}]`;
  }

  private map(depth: number): string {
    const { reader } = this;
    const texts = new MapText();
    const outer = reader.enter();
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1 && reader.type === LENGTH) this.keyValue(texts, depth + 1);
    }
    reader.leave(outer);
    return texts.toString();
  }
}

/** Wire types of the fields of AnyValue, from 1. Field 8 refers to a dictionary that only profiles have. */
const VALUE_TYPES = [LENGTH, VARINT, VARINT, FIXED64, LENGTH, LENGTH, LENGTH] as const;

function isFieldOfValue(field: number, type: number): boolean {
  return VALUE_TYPES[field - 1] === type;
}
