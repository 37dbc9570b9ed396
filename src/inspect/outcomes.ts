import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import type { ErrorRecord } from '../log/deliveries/delivery.ts';
import type { DeliveryState } from '../log/deliveries/filter.ts';
import { findRestored } from '../log/origin.ts';
import { decide, type Reason } from './why/decide.ts';
import { type Facts, readFacts } from './why/facts.ts';
import type { LogEntry } from './why/presence.ts';

/**
 * What has become of a notification at a consumer: the state of its delivery, or what "why" says.
 */
export type OutcomeAt = {
  consumerId: string;
  state: DeliveryState | Reason['code'];
  /**
   * What "why" says of it first, besides what keeps the whole consumer; null where that is gone.
   */
  reason: Reason | null;
  attempts: number;
  nextAttemptAt: Date | null;
  replayedAt: Date | null;
  lastFailedAt: Date | null;
  lastError: ErrorRecord | null;
};

/** At each consumer that reads the channel, or has a delivery of it; in order of their ids. */
export async function readOutcomes(
  client: Queryable,
  schema: string,
  notificationId: number,
): Promise<OutcomeAt[]> {
  const { rows } = await client.query<LogEntry>(
    `select id::float8, xid::text, channel, key, created_at as "createdAt"
     from ${qualified(schema, 'notification_log')} where id = $1 limit 1`,
    [notificationId],
  );
  const entry = rows[0] ?? null;
  const asked = { entry, consumerId: null, id: notificationId, seenMax: 0 };
  const facts = await readFacts(client, schema, asked);
  const isRestored = (await findRestored(client, { schema })) !== null;
  const log = { isPresent: entry !== null, pageRows: 1, isRestored };
  const outcomes = facts.flatMap((each) => outcomeOf(each, log) ?? []);
  const left = await readLeft(client, schema, notificationId);
  return [...outcomes, ...left].sort((a, b) => (a.consumerId < b.consumerId ? -1 : 1));
}

/** Deliveries outlive a consumer whose row somebody has deleted. */
async function readLeft(client: Queryable, schema: string, id: number): Promise<OutcomeAt[]> {
  const { rows } = await client.query<OutcomeAt>(
    `select consumer_id as "consumerId", state, null as reason, attempts,
       next_attempt_at as "nextAttemptAt", replayed_at as "replayedAt",
       last_failed_at as "lastFailedAt", last_error as "lastError"
     from ${qualified(schema, 'delivery')}
     where notification_id = $1 and consumer_id not in (
       select consumer_id from ${qualified(schema, 'consumer_progress')})`,
    [id],
  );
  return rows;
}

function outcomeOf(facts: Facts, log: Parameters<typeof decide>[1]): OutcomeAt | null {
  const { delivery, consumerId } = facts;
  const { reasons } = decide(facts, log);
  const reason = reasons.find(({ code }) => !OBSTACLES.includes(code)) ?? reasons[0];
  if (!reason || reason.code === 'filtered' || reason.code === 'gone') return null;
  return {
    consumerId,
    state: delivery?.state ?? reason.code,
    reason,
    attempts: delivery?.attempts ?? 0,
    nextAttemptAt: toDate(delivery?.nextAttemptMs),
    replayedAt: toDate(delivery?.replayedMs),
    lastFailedAt: toDate(delivery?.lastFailedMs),
    lastError: delivery?.lastError ?? null,
  };
}

function toDate(ms: number | null | undefined): Date | null {
  return ms === null || ms === undefined ? null : new Date(ms);
}

const OBSTACLES: readonly Reason['code'][] = ['paused', 'not_running', 'stopped', 'overfull'];
