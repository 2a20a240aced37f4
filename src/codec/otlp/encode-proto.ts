/** Log records → ExportLogsServiceRequest in protobuf. */
import { PbfWriter } from 'pbf';
import type { ReadonlyRecord } from '../../event/record.ts';
import { countOf, mapOf, textOf } from './model.ts';
import type { OutgoingRecord, OutgoingResource, OutgoingScope } from './model.ts';
import { writeFixed64, writeKeyValues, writeText, writeValue } from './proto-writer.ts';

/** A first guess for a request; it doubles as needed. Bytes. */
const FIRST_SIZE = 64 * 1024;

/** Writes a request. */
export function encodeProtoLogs(resources: readonly OutgoingResource[]): Buffer {
  const writer = new PbfWriter(new Uint8Array(FIRST_SIZE));
  for (const resource of resources) writer.writeMessage(1, writeResourceLogs, resource);
  const bytes = writer.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeResourceLogs({ resource, scopes }: OutgoingResource, writer: PbfWriter): void {
  writer.writeMessage(1, writeResource, resource);
  for (const scope of scopes) writer.writeMessage(2, writeScopeLogs, scope);
  writeSome(writer, 3, textOf(resource, 'schema_url'));
}

function writeResource(resource: ReadonlyRecord, writer: PbfWriter): void {
  writeAttributes(writer, 1, resource);
  writeCount(writer, 2, countOf(resource, 'dropped_attributes_count'));
}

function writeScopeLogs({ scope, records }: OutgoingScope, writer: PbfWriter): void {
  writer.writeMessage(1, writeScope, scope);
  for (const record of records) writer.writeMessage(2, writeLogRecord, record);
  writeSome(writer, 3, textOf(scope, 'schema_url'));
}

function writeScope(scope: ReadonlyRecord, writer: PbfWriter): void {
  writeSome(writer, 1, textOf(scope, 'name'));
  writeSome(writer, 2, textOf(scope, 'version'));
  writeAttributes(writer, 3, scope);
  writeCount(writer, 4, countOf(scope, 'dropped_attributes_count'));
}

function writeLogRecord(record: OutgoingRecord, writer: PbfWriter): void {
  if (record.time !== 0n) writeFixed64(writer, 1, record.time);
  writeCount(writer, 2, record.severityNumber);
  writeSome(writer, 3, record.severityText);
  writer.writeMessage(5, writeValue, record.body);
  for (const map of record.attributes) writeKeyValues(writer, 6, map);
  writeCount(writer, 7, record.droppedAttributesCount);
  if (record.flags !== 0) writer.writeFixed32Field(8, record.flags);
  if (record.traceId !== '') writer.writeBytesField(9, Buffer.from(record.traceId, 'hex'));
  if (record.spanId !== '') writer.writeBytesField(10, Buffer.from(record.spanId, 'hex'));
  if (record.observedTime !== 0n) writeFixed64(writer, 11, record.observedTime);
  writeSome(writer, 12, record.eventName);
}

function writeAttributes(writer: PbfWriter, field: number, of: ReadonlyRecord): void {
  const attributes = mapOf(of, 'attributes');
  if (attributes !== undefined) writeKeyValues(writer, field, attributes);
}

function writeSome(writer: PbfWriter, field: number, text: string): void {
  if (text !== '') writeText(writer, field, text);
}

function writeCount(writer: PbfWriter, field: number, count: number): void {
  if (count !== 0) writer.writeVarintField(field, count);
}
