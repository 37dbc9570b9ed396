import type { DeliveryState } from '../../src/log/deliveries/filter.ts';

/** The parts of a delivery that a test cares about; the rest is filled in. */
export type NewDelivery = {
  consumerId?: string;
  channel?: string;
  key?: string | null;
  payload?: unknown;
  state?: DeliveryState;
  attempts?: number;
  failedAgoMs?: number;
  error?: { name: string; message: string; code?: string; stack?: string };
};

/** Publishes a notification and files it, like a daemon whose handler fails. */
export async function addDelivery(
  database: { query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> },
  { consumerId = 'email', channel = 'orders', key = null, payload = {}, ...rest }: NewDelivery = {},
): Promise<number> {
  const { state = 'dead', attempts = 5, failedAgoMs = 60_000, error = ERROR } = rest;
  const { rows } = await database.query('select smart_notify($1, $2::jsonb, $3)::float8 as id', [
    channel,
    JSON.stringify(payload),
    key,
  ]);
  const { id } = rows[0] as { id: number };
  await database.query(FILE_SQL, [consumerId, id, state, attempts, failedAgoMs, error]);
  return id;
}

/** Registers consumers, as running them does. */
export async function addConsumers(
  database: { query(text: string, values?: unknown[]): Promise<unknown> },
  ids: readonly string[],
): Promise<void> {
  await database.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
     select id, '{orders}', 0, '1:1:' from unnest($1::text[]) as id
     on conflict do nothing`,
    [ids],
  );
}

/** Registers a consumer that several processes share. */
export async function addShared(
  database: Parameters<typeof addConsumers>[0],
  { id, channels }: { id: string; channels: readonly string[] },
): Promise<void> {
  await addConsumers(database, [id]);
  await database.query(
    `update pgwatch.consumer_progress set is_shared = true, channels = $2 where consumer_id = $1`,
    [id, channels],
  );
}

const FILE_SQL = `
insert into pgwatch.delivery (consumer_id, notification_id, state, key, attempts, next_attempt_at,
  first_failed_at, last_failed_at, first_error, last_error, notification, payload)
select $1, log.id, $3::text, log.key,
  case when $3 = 'blocked' then 0 else $4::integer end,
  case when $3 = 'retry' then now() + interval '1 hour' end,
  failure.at - interval '1 minute', failure.at, failure.error, failure.error,
  case when $3 = 'dead' then pgwatch.delivery_notification(log) end,
  case when $3 = 'dead' then log.payload end
from pgwatch.notification_log as log
left join (select now() - $5::float8 * interval '1 ms' as at, $6::jsonb as error) as failure
  on $3 <> 'blocked'
where log.id = $2`;

const ERROR = {
  name: 'Error',
  message: 'connect ECONNREFUSED 127.0.0.1:25',
  code: 'ECONNREFUSED',
  stack: 'Error: connect ECONNREFUSED 127.0.0.1:25\n    at send (email.ts:7:11)',
};
