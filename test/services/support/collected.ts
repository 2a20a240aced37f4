/** What a Collector's file exporter wrote, read without any of our own decoders: a request a line, OTLP/JSON. */
import { readFileSync } from 'node:fs';
import type { LogRecord, Value } from '../../../src/event/record.ts';
import { setKey } from '../../../src/event/record.ts';

interface AnyValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string;
  doubleValue?: number;
  arrayValue?: { values?: AnyValue[] };
  kvlistValue?: { values?: KeyValue[] };
}

interface KeyValue {
  key: string;
  value: AnyValue;
}

export interface CollectedLog {
  /** Unix nanoseconds. */
  time: bigint;
  body: Value;
  attributes: LogRecord;
  severityText: string;
  resource: LogRecord;
}

interface Request {
  resourceLogs: {
    resource?: { attributes?: KeyValue[] };
    scopeLogs: {
      logRecords: {
        timeUnixNano?: string;
        body: AnyValue;
        attributes?: KeyValue[];
        severityText?: string;
      }[];
    }[];
  }[];
}

/** The log records in the file. A line that a killed Collector did not finish was not acknowledged, and does not count. */
export function collectedLogs(file: string): CollectedLog[] {
  const logs: CollectedLog[] = [];
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const request = requestOf(line);
    for (const { resource, scopeLogs } of request?.resourceLogs ?? []) {
      for (const { logRecords } of scopeLogs) {
        for (const record of logRecords) {
          logs.push({
            time: BigInt(record.timeUnixNano ?? 0),
            body: valueOf(record.body),
            attributes: mapOf(record.attributes),
            severityText: record.severityText ?? '',
            resource: mapOf(resource?.attributes),
          });
        }
      }
    }
  }
  return logs;
}

function requestOf(line: string): Request | undefined {
  try {
    return JSON.parse(line) as Request;
  } catch {
    return undefined;
  }
}

function mapOf(members: readonly KeyValue[] = []): LogRecord {
  const map: LogRecord = {};
  for (const { key, value } of members) setKey(map, key, valueOf(value));
  return map;
}

function valueOf(value: AnyValue): Value {
  if (value.intValue !== undefined) {
    const number = Number(value.intValue);
    return Number.isSafeInteger(number) ? number : BigInt(value.intValue);
  }
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(valueOf);
  if (value.kvlistValue !== undefined) return mapOf(value.kvlistValue.values);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? null;
}
