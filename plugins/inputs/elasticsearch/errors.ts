/**
 * Errors as Elasticsearch answers them:
 *
 *     {"error":{"root_cause":[{"type":"…","reason":"…"}],"type":"…","reason":"…"},"status":429}
 *
 * Clients go by the status and the type.
 */
import type { Answer } from '../../shared/http-receiver/protocol.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

/** A refusal with a type of its own. */
export class SearchRefusal extends Refusal {
  override name = 'SearchRefusal';
  readonly type: string;

  /** `message`: the reason, for the client and the log. */
  constructor(status: number, type: string, message: string) {
    super(status, message);
    this.type = type;
  }
}

const TYPES: ReadonlyMap<number, string> = new Map([
  [400, 'illegal_argument_exception'],
  [401, 'security_exception'],
  [413, 'content_too_long_exception'],
  [415, 'media_type_header_exception'],
  // What its own full queues say, and what clients slow down for.
  [429, 'es_rejected_execution_exception'],
  [503, 'process_cluster_event_timeout_exception'],
]);

export function errorAnswer(refusal: Refusal): Answer {
  const { status, message: reason } = refusal;
  const type = refusal instanceof SearchRefusal ? refusal.type : (TYPES.get(status) ?? 'status_exception');
  const cause = { type, reason };
  return { status, body: JSON.stringify({ error: { root_cause: [cause], ...cause }, status }) };
}
