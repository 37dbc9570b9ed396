import type { ClientBase } from 'pg';
import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';

/** What is kept of an error. Stacks and messages are cut at 10,000 characters. */
export type ErrorRecord = { name: string; message: string; code?: string; stack?: string };

/** What becomes of one notification for one consumer, where it is not plain success. */
export type DeliveryChange = { notificationId: number; key: string | null } & (
  | { state: 'done' }
  | { state: 'blocked' }
  | {
      state: 'retry';
      attempts: number;
      delayMs: number;
      error: ErrorRecord | null;
      /** Called alone the next time. */
      isSuspect?: boolean;
      /** Its handler is being called. */
      isUnderWay?: boolean;
    }
  | { state: 'dead'; attempts: number; error: ErrorRecord }
);

/** Filed while its handler is being called: the call counts, should the process die over it. */
export function underWay(
  {
    id: notificationId,
    key,
    attempt: attempts,
  }: { id: number; key: string | null; attempt: number },
  delayMs: number,
): DeliveryChange {
  const change = { notificationId, key, attempts, delayMs, error: null };
  return { ...change, state: 'retry', isSuspect: true, isUnderWay: true };
}

/** True for what underWay() makes. */
export function isUnderWay(change: DeliveryChange): boolean {
  return change.state === 'retry' && change.isUnderWay === true;
}

/** Which of the keys have a notification that waits. */
export async function readWaitingKeys(
  client: Queryable,
  schema: string,
  consumerId: string,
  keys: readonly string[],
): Promise<string[]> {
  const { rows } = await client.query(
    `select key from unnest($2::text[]) as wanted (key)
     where exists (
       select from ${qualified(schema, 'delivery')} as d
       where d.consumer_id = $1 and d.key = wanted.key and d.state <> 'dead')`,
    [consumerId, keys],
  );
  return (rows as { key: string }[]).map(({ key }) => key);
}

/** Whose deliveries: with order by key, the notifications of a key wait for each other. */
export type DeliveryScope = { consumerId: string; isOrdered: boolean };

/**
 * Applies changes, and lets the first that is blocked behind what is done now have its turn. In the
 * transaction that moves the position: whatever is passed has a row, or succeeded.
 * @returns of the keys concerned those that still have a notification waiting
 */
export async function applyChanges(
  client: ClientBase,
  schema: string,
  { consumerId, isOrdered }: DeliveryScope,
  changes: readonly DeliveryChange[],
): Promise<string[]> {
  const doneIds = changes.filter(({ state }) => state === 'done').map((c) => c.notificationId);
  if (doneIds.length > 0) {
    await client.query(
      `delete from ${qualified(schema, 'delivery')}
       where consumer_id = $1 and notification_id = any($2::bigint[])`,
      [consumerId, doneIds],
    );
  }
  await upsert(client, schema, consumerId, changes);
  const keys = [...new Set(changes.flatMap(({ key }) => key ?? []))];
  if (keys.length === 0 || !isOrdered) return [];
  const { rows } = await client.query<{ key: string }>(promoteSql(schema), [consumerId, keys]);
  return rows.map(({ key }) => key);
}

async function upsert(
  client: ClientBase,
  schema: string,
  consumerId: string,
  changes: readonly DeliveryChange[],
): Promise<void> {
  const kept = changes.filter((change) => change.state !== 'done');
  if (kept.length === 0) return;
  await client.query(upsertSql(schema), [
    consumerId,
    kept.map((change) => change.notificationId),
    kept.map((change) => change.state),
    kept.map((change) => change.key),
    kept.map((change) => ('attempts' in change ? change.attempts : 0)),
    kept.map((change) => (change.state === 'retry' ? change.delayMs : null)),
    kept.map((change) => ('error' in change && change.error ? JSON.stringify(change.error) : null)),
    kept.map((change) => change.state === 'retry' && change.isSuspect === true),
  ]);
}

function upsertSql(schema: string): string {
  const log = qualified(schema, 'notification_log');
  return `
insert into ${qualified(schema, 'delivery')} as delivery
  (consumer_id, notification_id, state, key, attempts, next_attempt_at, is_suspect,
   first_failed_at, last_failed_at, first_error, last_error, notification)
select $1, c.id, c.state, c.key, c.attempts, clock_timestamp() + c.delay_ms * interval '1 ms',
  c.is_suspect, failed_at, failed_at, c.error::jsonb, c.error::jsonb,
  case c.state when 'dead' then (select to_jsonb(log) from ${log} as log where log.id = c.id limit 1) end
from unnest(
  $2::bigint[], $3::text[], $4::text[], $5::integer[], $6::float8[], $7::text[], $8::boolean[]
) as c (id, state, key, attempts, delay_ms, error, is_suspect)
cross join lateral (select case when c.error is not null then clock_timestamp() end as failed_at) as f
on conflict (consumer_id, notification_id) do update
set state = excluded.state,
  attempts = excluded.attempts,
  next_attempt_at = excluded.next_attempt_at,
  is_suspect = excluded.is_suspect,
  first_failed_at = coalesce(delivery.first_failed_at, excluded.first_failed_at),
  last_failed_at = coalesce(excluded.last_failed_at, delivery.last_failed_at),
  first_error = coalesce(delivery.first_error, excluded.first_error),
  last_error = coalesce(excluded.last_error, delivery.last_error),
  notification = coalesce(delivery.notification, excluded.notification)`;
}

/** The first notification that waits of each key: where it is blocked, it is due now. */
function promoteSql(schema: string): string {
  const delivery = qualified(schema, 'delivery');
  return `
with head as (
  select waiting.key, (
    select notification_id from ${delivery}
    where consumer_id = $1 and key = waiting.key and state <> 'dead'
    order by notification_id limit 1) as id
  from unnest($2::text[]) as waiting (key)
),
promoted as (
  update ${delivery} as delivery set state = 'retry', next_attempt_at = clock_timestamp()
  from head
  where consumer_id = $1 and notification_id = head.id and state = 'blocked'
)
select key from head where id is not null`;
}
