/** Settling what is in doubt (session.ts), before an attempt sends anything else. */
import { describeCode } from '../../shared/kafka/failure.ts';
import { abortable } from './abortable.ts';
import { verdictOf } from './answers.ts';
import type { Answer, Topic } from './cluster.ts';
import type { DeliveryOptions } from './delivery.ts';
import type { Doubt } from './session.ts';

/** What an attempt lends for it. */
export interface Settling {
  /** The topic; undefined when it cannot be had now. */
  topic(name: string): Promise<Topic | undefined>;
  /** Says why something stays in doubt. */
  blame(words: string): void;
  signal: AbortSignal;
}

/** Sends what is in doubt again, just as it was. What stays in doubt blocks its partition. Throws only when it is aborted. */
export async function settleDoubts(options: DeliveryOptions, settling: Settling): Promise<void> {
  const { session, cluster } = options;
  const { signal } = settling;
  const byLeader = new Map<number, [string, Doubt][]>();
  for (const entry of session.doubts) {
    const topic = await settling.topic(entry[1].topic);
    const leader = topic?.leader(entry[1].partition);
    if (leader === undefined) continue;
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), entry]);
  }
  for (const [leader, all] of byLeader) {
    // What a leader before this one said may have ended the session.
    const entries = all.filter(([key]) => session.doubts.has(key));
    if (entries.length === 0) continue;
    try {
      const connection = await abortable(signal, cluster.connect(leader));
      const doubts = entries.map(([, doubt]) => doubt);
      const answers = await abortable(signal, cluster.produce(connection, doubts));
      for (const [index, [key, doubt]] of entries.entries())
        settle(options, settling, key, doubt, answers[index] as Answer);
    } catch (error) {
      signal.throwIfAborted();
      settling.blame(cluster.describe(error));
      cluster.forget();
    }
  }
}

function settle(
  options: DeliveryOptions,
  { blame }: Pick<Settling, 'blame'>,
  key: string,
  doubt: Doubt,
  answer: Answer,
): void {
  const { session, cluster } = options;
  // The answer for a batch before it has ended the session.
  if (!session.doubts.has(key)) return;
  switch (verdictOf(answer.code)) {
    case 'stored':
      session.confirm(key);
      return;
    case 'moved':
      cluster.forget();
      blame(said(options, doubt.topic, answer));
      return;
    case 'in_doubt':
    case 'failed':
      blame(said(options, doubt.topic, answer));
      return;
    case 'session_lost':
    case 'too_large':
    case 'refused':
      // What a refused batch was, is not known any more with certainty: its sequence numbers are not used again.
      loseSession(options, answer);
  }
}

/** Ends the session, with a word about the records that stay in doubt. */
export function loseSession({ session, log, codeNames }: DeliveryOptions, answer: Answer): void {
  const records = session.lose();
  if (records === 0) return;
  log.warn(
    { records, reason: describeCode(answer.code, codeNames) },
    'The brokers do not know this producer any more; records of which no answer came may be stored twice',
  );
}

/** A clause about an answer, with the topic that it is about. */
export function said({ codeNames }: DeliveryOptions, topic: string, { code, message }: Answer): string {
  const own = message === undefined || message === '' ? '' : `, ${message.replace(/\.$/, '')}`;
  return `topic "${topic}": ${describeCode(code, codeNames)}${own}`;
}
