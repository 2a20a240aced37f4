/** Compression of the records of a batch. The codecs of Node.js work in its thread pool; the others are the Kafka library's. */
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import type { KafkaLibrary } from '../../shared/kafka/client.ts';
import type { Compression } from '../../shared/kafka/settings.ts';

export type Compress = (records: Buffer) => Promise<Uint8Array> | Uint8Array;

export function compressor(codec: Compression, { compressionsAlgorithms }: KafkaLibrary): Compress {
  switch (codec) {
    case 'none':
      return (records) => records;
    case 'gzip':
      return promisify(gzip);
    case 'zstd':
      return promisify(zstdCompress);
    case 'snappy':
    case 'lz4':
      return (records) => compressionsAlgorithms[codec].compressSync(records);
  }
}
