import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { safeId } from '../notification.ts';
import { IS_PAUSED } from '../positions/progress.ts';
import { isRunSql, isStoppedSql } from '../positions/running-sql.ts';
import { reachedSql } from '../positions/settled-sql.ts';

/** Why a consumer needs something; see the migration that creates log_pins. */
export type PinReason = 'position' | 'retry' | 'lease';

/** A consumer that needs something that is to be removed. */
export type Pin = { consumerId: string; reason: PinReason };

/** Reads which consumers need something of a partition, up to an id. */
export async function readPins(
  client: Queryable,
  schema: string,
  { partition, upTo = null }: { partition: string; upTo?: number | null },
): Promise<Pin[]> {
  const { rows } = await client.query(
    `select consumer_id as "consumerId", reason
     from ${qualified(schema, 'log_pins')}($1, $2) order by 1, 2`,
    [partition, upTo],
  );
  return rows as Pin[];
}

/** How far a consumer is whose progress cleanup waits for. */
export type PinningConsumer = {
  consumerId: string;
  atId: number;
  /** How many notifications are above its position, in any channel; counts at most 100,000. */
  behind: number;
  /** True if a live daemon runs it, or is about to. */
  isAlive: boolean;
  /** True if it stopped at a dead letter and takes nothing new. */
  isStopped: boolean;
  isPaused: boolean;
  savedAt: Date;
};

/** Reads how far consumers are, and whether a daemon runs them. */
export async function readPinning(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[],
): Promise<PinningConsumer[]> {
  const { rows } = await client.query(
    `select c.consumer_id as "consumerId", reached.id::text as "atId", c.saved_at as "savedAt",
       (select count(*)::float8 from (
         select from ${qualified(schema, 'notification')} where id > reached.id limit ${COUNTED_MAX}
       ) as behind) as behind,
       ${isRunSql(schema, 'c')} as "isAlive", ${isStoppedSql(schema, 'c')} as "isStopped",
       ${IS_PAUSED} as "isPaused"
     from ${qualified(schema, 'consumer_progress')} as c
     cross join lateral (select ${reachedSql('c')} as id) as reached
     where c.consumer_id = any($1)
     order by 1`,
    [consumerIds],
  );
  type Row = Omit<PinningConsumer, 'atId'> & { atId: string };
  return (rows as Row[]).map((row) => ({ ...row, atId: safeId(row.atId) }));
}

/** The maximum number of notifications that are counted. */
export const COUNTED_MAX = 100_000;
