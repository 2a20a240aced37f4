/** The metrics of the disk buffer. */
import type { Metrics, Series } from '../../telemetry/metrics.ts';

/** What is asked at each scrape. */
export interface StoreGauges {
  readonly livingBytes: number;
  readonly fileBytes: number;
  readonly chunks: number;
  readonly overflowBytes: number;
  readonly isFailing: boolean;
}

export interface StoreSeries {
  damagedFrames: Series;
  damagedRecords: Series;
  torn: Series;
  failures: Series;
  written: Series;
}

export function registerStoreSeries(metrics: Metrics, store: StoreGauges): StoreSeries {
  const gauge = (name: string, help: string, value: () => number): void => {
    metrics.gauge(name, help, (family) => {
      family.labels().value = value();
    });
  };
  gauge(
    'tailrace_storage_bytes',
    'Bytes of the disk buffer that some output still needs.',
    () => store.livingBytes,
  );
  gauge('tailrace_storage_file_bytes', 'Bytes of the files of the disk buffer.', () => store.fileBytes);
  gauge(
    'tailrace_storage_chunks',
    'Chunks in the disk buffer that some output still needs.',
    () => store.chunks,
  );
  gauge(
    'tailrace_storage_overflow_bytes',
    'Bytes that are there because memory was short.',
    () => store.overflowBytes,
  );
  gauge('tailrace_storage_failing', '1 while the disk takes nothing.', () => (store.isFailing ? 1 : 0));
  const counter = (name: string, help: string): Series => metrics.counter(name, help).labels();
  return {
    damagedFrames: counter(
      'tailrace_storage_damaged_frames_total',
      'Damaged places in the disk buffer that were skipped.',
    ),
    damagedRecords: counter(
      'tailrace_storage_damaged_records_total',
      'Records that damaged frames have lost, as far as their heads could be read.',
    ),
    torn: counter(
      'tailrace_storage_torn_bytes_total',
      'Bytes of writes that a crash cut short; they were never acknowledged.',
    ),
    failures: counter('tailrace_storage_failures_total', 'Writes and syncs that failed; tried again.'),
    written: counter('tailrace_storage_written_bytes_total', 'Bytes of chunks written.'),
  };
}
