import type { TestDatabase } from './database.ts';

/** A day of January 2020, with a partition of its own: notification_log_202001DD. */
export type PastDay = { name: string; ends: Date };

/** Makes the partition of a past day. */
export async function createPastDay(database: TestDatabase, day: number): Promise<PastDay> {
  const name = `notification_log_202001${String(day).padStart(2, '0')}`;
  const [starts, ends] = [new Date(Date.UTC(2020, 0, day)), new Date(Date.UTC(2020, 0, day + 1))];
  await database.query(
    `create table if not exists pgwatch.${name} partition of pgwatch.notification_log
     for values from ('${starts.toISOString()}') to ('${ends.toISOString()}')`,
  );
  return { name, ends };
}

/** Removes all past partitions and the state of all consumers. */
export async function forgetPast(database: TestDatabase): Promise<void> {
  await database.query(`
    do $$
    declare
      partition_name text;
    begin
      for partition_name in select name from pgwatch.log_partitions() where ends < '2021-01-01' loop
        execute format('drop table pgwatch.%I', partition_name);
      end loop;
    end $$`);
  await database.query(
    `truncate pgwatch.notification_log, pgwatch.consumer_progress, pgwatch.delivery,
      pgwatch.discarded, pgwatch.daemon, pgwatch.lease, pgwatch.published`,
  );
}

/** Publishes as if on that day of January 2020, on channel c. Returns the ids. */
export async function publishPast(
  database: { query: TestDatabase['query'] },
  day: number,
  payloads: readonly unknown[],
): Promise<number[]> {
  // In a statement of its own: no notification may have an id before its transaction has an xid.
  await database.query('select pg_current_xact_id()');
  const { rows } = await database.query(
    `with writer as materialized (select pg_current_xact_id() as xid)
     insert into pgwatch.notification_log (xid, created_at, channel, key, payload)
     select xid, '2020-01-01'::timestamptz + ($1 - 1) * interval '1 day' + interval '12 hours',
       'c', p.payload #>> '{}', p.payload
     from writer, unnest($2::jsonb[]) as p (payload)
     returning id::float8 as id`,
    [day, payloads.map((payload) => JSON.stringify(payload))],
  );
  return rows.map(({ id }) => id);
}

/** Records that a consumer has handled everything visible now. */
export async function finishConsumer(
  database: { query: TestDatabase['query'] },
  id = 'email',
): Promise<void> {
  await database.query(
    `insert into pgwatch.consumer_progress as p (consumer_id, channels, done_id, done_snapshot)
     select $1, array['c', 'consumer:' || $1], coalesce(max(id), 0), pg_current_snapshot()
       from pgwatch.notification_log
     on conflict (consumer_id)
       do update set done_id = excluded.done_id, done_snapshot = excluded.done_snapshot`,
    [id],
  );
}
