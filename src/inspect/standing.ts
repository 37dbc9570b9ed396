import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import type { ErrorRecord } from '../log/deliveries/delivery.ts';
import { HAS_FAILED } from '../log/deliveries/standing.ts';

/** The deliveries of a consumer that are not plain success. */
export type Standing = {
  retrying: number;
  /** Their handlers are being called, as far as was recorded before they returned. */
  calling: number;
  /** When the next retry is due. */
  nextAttemptAt: Date | null;
  blocked: number;
  blockedKeys: number;
  /** To be delivered again on request, and not counted above. */
  replaying: number;
  dead: number;
  lastError: Failure | null;
};

/** The newest failure that is known. */
export type Failure = { name: string; message: string; notificationId: number; at: Date };

/**
 * Counts the deliveries of consumers, by id; consumers without deliveries are left out.
 * @param consumerIds null for all consumers
 */
export async function readStandings(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[] | null,
): Promise<Map<string, Standing>> {
  const delivery = qualified(schema, 'delivery');
  const { rows } = await client.query<StandingRow>(
    `select counted.*, to_jsonb(last.notification_id) as "notificationId",
       last.last_failed_at as at, last.last_error as error
     from (
       select consumer_id as id,
         count(*) filter (where ${IS_RETRYING})::float8 as retrying,
         count(*) filter (where called_attempt is not null)::float8 as calling,
         min(next_attempt_at) filter (where ${IS_RETRYING}) as "nextAttemptAt",
         count(*) filter (where state = 'blocked' and ${HAS_FAILED})::float8 as blocked,
         count(distinct key)
           filter (where state = 'blocked' and ${HAS_FAILED})::float8 as "blockedKeys",
         count(*) filter (where state <> 'dead' and not ${HAS_FAILED})::float8 as replaying,
         count(*) filter (where state = 'dead')::float8 as dead
       from ${delivery} where $1::text[] is null or consumer_id = any($1)
       group by consumer_id
     ) as counted
     left join lateral (
       select notification_id, last_failed_at, last_error from ${delivery}
       where consumer_id = counted.id and last_failed_at is not null
       order by last_failed_at desc limit 1
     ) as last on true`,
    [consumerIds],
  );
  return new Map(rows.map((row) => [row.id, toStanding(row)]));
}

/** Deliveries whose handler is being called do not wait. */
const IS_RETRYING = `state = 'retry' and called_attempt is null and ${HAS_FAILED}`;

/** For a consumer without deliveries. */
export const NOTHING_STANDING: Standing = {
  retrying: 0,
  calling: 0,
  nextAttemptAt: null,
  blocked: 0,
  blockedKeys: 0,
  replaying: 0,
  dead: 0,
  lastError: null,
};

type StandingRow = Omit<Standing, 'lastError'> & {
  id: string;
  notificationId: number | null;
  at: Date | null;
  error: ErrorRecord | null;
};

function toStanding({ id, notificationId, at, error, ...standing }: StandingRow): Standing {
  if (notificationId === null || at === null) return { ...standing, lastError: null };
  const { name = 'Error', message = '' } = error ?? {};
  return { ...standing, lastError: { name, message, notificationId, at } };
}
