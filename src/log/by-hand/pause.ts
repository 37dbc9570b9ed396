import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { PgwatchError } from '../../errors.ts';
import { tellDaemons } from '../positions/daemons.ts';
import { IS_PAUSED } from '../positions/progress.ts';

/** Since when a consumer has been paused, and until when; null: until it is resumed. */
export type Pause = { pausedAt: Date; pausedUntil: Date | null };

/**
 * Keeps daemons from running the consumer: running handlers finish, and nothing more is delivered.
 * If it is already paused, only the end of the pause changes.
 * @param pause.until a time, or a number of milliseconds from now by the server's clock
 * @returns null if there is no such consumer
 * @throws PgwatchError input_invalid if the time has passed
 */
export async function pauseConsumer(
  client: Queryable,
  schema: string,
  { consumerId, until }: { consumerId: string; until: Date | number | null },
): Promise<Pause | null> {
  const { rows } = await client.query(
    `update ${qualified(schema, 'consumer_progress')}
     set paused_at = case when ${IS_PAUSED} then paused_at else clock_timestamp() end,
       paused_until = moment.until
     from (
       select coalesce($2::timestamptz, clock_timestamp() + $3 * interval '1 ms') as until
     ) as moment
     where consumer_id = $1 and coalesce(moment.until > clock_timestamp(), true)
     returning paused_at as "pausedAt", paused_until as "pausedUntil"`,
    [consumerId, until instanceof Date ? until : null, typeof until === 'number' ? until : null],
  );
  const pause = rows[0] as Pause | undefined;
  if (pause) await tellDaemons(client, schema, 'owners');
  else if (until !== null && (await exists(client, schema, consumerId))) throw isPast(until);
  return pause ?? null;
}

/** Lets daemons run the consumer again. False if it was not paused. */
export async function resumeConsumer(
  client: Queryable,
  schema: string,
  { consumerId }: { consumerId: string },
): Promise<boolean> {
  const { rows } = await client.query(
    `update ${qualified(schema, 'consumer_progress')} as progress
     set paused_at = null, paused_until = null
     from (
       select consumer_id, ${IS_PAUSED} as is_paused
       from ${qualified(schema, 'consumer_progress')} where consumer_id = $1 for update
     ) as before
     where progress.consumer_id = before.consumer_id and paused_at is not null
     returning before.is_paused as "wasPaused"`,
    [consumerId],
  );
  const [row] = rows as { wasPaused: boolean }[];
  if (row) await tellDaemons(client, schema, 'owners');
  return row?.wasPaused ?? false;
}

async function exists(client: Queryable, schema: string, consumerId: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from ${qualified(schema, 'consumer_progress')} where consumer_id = $1`,
    [consumerId],
  );
  return rowCount === 1;
}

function isPast(until: Date | number): PgwatchError {
  const time = until instanceof Date ? until.toISOString() : 'The end of the pause';
  return new PgwatchError(
    'input_invalid',
    `${time} has passed, by the server's clock: give a later time, or a duration from now like 2h.`,
  );
}
