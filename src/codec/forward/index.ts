/** The forward protocol of Fluentd and Fluent Bit, version 1: both sides' messages, to bytes and back. */
export * from './decode.ts';
export * from './encode.ts';
export * from './handshake.ts';
