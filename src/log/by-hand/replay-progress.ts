import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { IS_PAUSED } from '../positions/progress.ts';
import { isLiveSql } from './locks.ts';

/** The progress of a replay. */
export type ReplayProgress = {
  /** How many have not been handled yet, and how many of these have failed and are retried. */
  standing: number;
  failing: number;
  /** How many became dead letters. */
  dead: number;
  /** In how many milliseconds the next one is due; null if none is waiting. */
  nextMs: number | null;
  isLive: boolean;
  isPaused: boolean;
};

/** @param replay.replayedAt as returned by fileReplay() */
export async function readReplayProgress(
  client: Queryable,
  schema: string,
  { consumerId, replayedAt }: { consumerId: string; replayedAt: string },
): Promise<ReplayProgress> {
  const { rows } = await client.query(
    `select
       count(*) filter (where d.state <> 'dead')::float8 as standing,
       count(*) filter (where d.state <> 'dead' and d.last_failed_at is not null)::float8
         as failing,
       count(*) filter (where d.state = 'dead')::float8 as dead,
       extract(epoch from min(d.next_attempt_at) filter (where d.state = 'retry')
         - clock_timestamp())::float8 * 1000 as "nextMs",
       ${isLiveSql(schema)} as "isLive", ${IS_PAUSED} as "isPaused"
     from ${qualified(schema, 'consumer_progress')} as progress
     left join ${qualified(schema, 'delivery')} as d
       on d.consumer_id = progress.consumer_id and d.replayed_at = $2::timestamptz
     where progress.consumer_id = $1
     group by progress.consumer_id`,
    [consumerId, replayedAt],
  );
  return rows[0] as ReplayProgress;
}
