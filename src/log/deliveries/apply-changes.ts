import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import type { DeliveryChange, DeliveryScope } from './delivery.ts';
import { fileChanges } from './file-changes.ts';
import { sameKeySql } from './key-sql.ts';
import { lockedSql } from './locked-sql.ts';

/**
 * Applies changes, and makes the first notification due that was blocked by one that is now done.
 * Runs in the transaction that moves the position: each notification that the position passes has
 * succeeded or has a row.
 * @returns the keys among these that still have a waiting notification
 */
export async function applyChanges(
  client: ClientBase,
  schema: string,
  { consumerId, isOrdered }: DeliveryScope,
  unsorted: readonly DeliveryChange[],
): Promise<string[]> {
  if (unsorted.length === 0) return [];
  const changes = unsorted.toSorted((a, b) => a.notificationId - b.notificationId);
  const keys = isOrdered ? [...new Set(changes.flatMap(({ key }) => key ?? []))] : [];
  await lockChanging(client, schema, {
    consumerId,
    ids: changes.map((change) => change.notificationId),
    keys,
  });
  const doneIds = changes.filter(({ state }) => state === 'done').map((c) => c.notificationId);
  if (doneIds.length > 0) {
    await client.query(
      `with handled as (
         delete from ${qualified(schema, 'delivery')}
         where consumer_id = $1 and notification_id = any($2::bigint[])
         returning consumer_id, notification_id
       )
       delete from ${qualified(schema, 'discarded')} as discarded using handled
       where discarded.consumer_id = handled.consumer_id
         and discarded.notification_id = handled.notification_id`,
      [consumerId, doneIds],
    );
  }
  await fileChanges(
    client,
    schema,
    consumerId,
    changes.filter((change) => change.state !== 'done'),
  );
  if (keys.length === 0) return [];
  const { rows } = await client.query<{ key: string }>(promoteSql(schema), [consumerId, keys]);
  return rows.map(({ key }) => key);
}

/**
 * Locks the deliveries that may change, all in one statement: those of the notifications, and the
 * next one of each key, which may become due.
 */
async function lockChanging(
  client: ClientBase,
  schema: string,
  {
    consumerId,
    ids,
    keys,
  }: { consumerId: string; ids: readonly number[]; keys: readonly string[] },
): Promise<void> {
  const next = `array(
    select (
      select notification_id from ${qualified(schema, 'delivery')}
      where consumer_id = $1 and ${sameKeySql('key', 'waiting.key')} and state <> 'dead'
        and notification_id <> all($2::bigint[])
      order by notification_id limit 1)
    from unnest($3::text[]) as waiting (key))`;
  const isChanging = `d.notification_id = any($2::bigint[] || ${next})`;
  await client.query(`select from ${lockedSql(schema, isChanging)} as locked`, [
    consumerId,
    ids,
    keys,
  ]);
}

/** Finds the first waiting notification of each key, and makes it due if it is blocked. */
function promoteSql(schema: string): string {
  const delivery = qualified(schema, 'delivery');
  return `
with head as (
  select waiting.key, (
    select notification_id from ${delivery}
    where consumer_id = $1 and ${sameKeySql('key', 'waiting.key')} and state <> 'dead'
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
