/**
 * splunk: takes events as Splunk's HTTP Event Collector does, so that what sends to Splunk can send here.
 *
 * As the http input it answers when the records are safe. What it has no room for is answered with 503 and code 9, which clients of Splunk
 * try again.
 */
import { boolean, compileAccessor, defineInput, enumOf, kv, secret, string } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import {
  bareReceiverOptions,
  checkReceiver,
  http2Option,
  receiverSettings,
} from '../shared/http-receiver/options.ts';
import { HttpReceiver } from '../shared/http-receiver/receiver.ts';
import { successHeaderProblems } from '../shared/http-receiver/success-headers.ts';
import { openListenerTls } from '../shared/listener.ts';
import { HecProtocol } from './splunk/protocol.ts';

export default defineInput({
  name: 'splunk',
  summary: "Takes events as Splunk's HTTP Event Collector",
  options: {
    ...bareReceiverOptions(8088),
    tag: string().optional().describe('Tag of the records. Default: `splunk.<n>`.'),
    tag_key: string()
      .optional()
      .describe('Key, or record accessor, whose text is the tag of its record; wins over tag.'),
    splunk_token: secret()
      .optional()
      .describe(
        'Tokens that requests need one of, separated by commas: as `Authorization: Splunk <token>`, or as the password of basic authentication.',
      ),
    record: enumOf('envelope', 'event')
      .default('envelope')
      .describe(
        "What becomes the record: `envelope`, as in Fluent Bit, the object with `event`, `time`, `host` and so on; `event`, what is under `event` (a text under `log`), the rest in the metadata `splunk`. The record's time is the envelope's in both.",
      ),
    indexer_ack: boolean()
      .default(true)
      .describe(
        'Requests that name a channel get an `ackId`, and /services/collector/ack says of it that it is there. Answers come when the records are safe in any case.',
      ),
    store_token_in_metadata: boolean()
      .optional()
      .describe(
        'Keeps the token of the request: `on` in the metadata of the records (`hec_token`), `off` in the records, under splunk_token_key. Fluent Bit does the former by default; without this key the token is not kept here, since it would lie in buffers and go along with the records.',
      ),
    splunk_token_key: string()
      .default('@splunk_token')
      .describe('Key of the token in the records, with `store_token_in_metadata: off`.'),
    success_header: kv()
      .default([])
      .describe('`NAME VALUE`, a header of the answer to what was taken; may be given several times.'),
    add_remote_addr: boolean()
      .default(false)
      .describe(
        "Adds the sender's address to the records: the first one of the header X-Forwarded-For, else that of the connection.",
      ),
    remote_addr_key: string().default('remote_addr').describe('Key of that address.'),
    http2: http2Option(),
  },
  tags: ({ tag_key: tagKey }, configured) => (tagKey === undefined ? [configured] : 'any'),
  example: `pipeline:
  inputs:
    - name: splunk
      listen: 0.0.0.0
      tls: on
      tls.crt_file: /etc/tailrace/server.pem
      tls.key_file: /etc/tailrace/server.key
      splunk_token: \${HEC_TOKENS}
      tag: hec
`,
  check(options) {
    const problems: OptionProblem[] = [
      ...checkReceiver(options, options.splunk_token !== undefined),
      ...successHeaderProblems(options.success_header),
      ...accessorProblems('tag_key', options.tag_key),
    ];
    if (options.splunk_token !== undefined && tokensIn(options.splunk_token.reveal()).length === 0)
      problems.push({ key: 'splunk_token', message: 'is empty: write one, or remove the line' });
    return problems;
  },
  async create(options, context) {
    const { tag_key: tagKey, store_token_in_metadata: inMetadata } = options;
    const protocol = new HecProtocol(
      {
        tag: context.tag,
        tagKey: tagKey === undefined ? undefined : { text: tagKey, read: compileAccessor(tagKey) },
        record: options.record,
        tokens: tokensIn(options.splunk_token?.reveal() ?? ''),
        keepToken:
          inMetadata === undefined ? undefined : inMetadata ? 'metadata' : { key: options.splunk_token_key },
        remoteAddressKey: options.add_remote_addr ? options.remote_addr_key : undefined,
        successHeaders: options.success_header,
        acknowledges: options.indexer_ack,
      },
      context,
    );
    return new HttpReceiver(
      receiverSettings(options, { http2: options.http2 }),
      protocol,
      context,
      await openListenerTls(options),
    );
  },
});

function tokensIn(text: string): string[] {
  return text
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}
