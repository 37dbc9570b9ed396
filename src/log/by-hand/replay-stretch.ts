import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { isReadSql } from '../channels.ts';
import { settledSql, wasReadSql } from '../positions/settled-sql.ts';

/** Selects the notifications of a consumer to deliver again: those that match every condition. */
export type Stretch = {
  consumerId: string;
  /** Created at this time or later, and before until. */
  since: Date | null;
  until: Date | null;
  channel: string | null;
  key: string | null;
  ids: readonly number[] | null;
};

/** The contents of a stretch. */
export type StretchCount = {
  /** Done, and without a delivery: these are replayed. */
  settled: number;
  /** Those among them that it never got, because it did not read the channel yet. */
  beforeChannel: number;
  keys: number;
  firstId: number | null;
  lastId: number | null;
  /** Left alone: dead letters, and deliveries that are waiting anyway. */
  dead: number;
  waiting: number;
  /** Not reached by the position, or being handled. */
  open: number;
};

/** A notification that would be replayed. */
export type StretchEntry = { id: number; channel: string; key: string | null; createdAt: Date };

/** Counts the contents of a stretch; changes nothing. */
export async function countStretch(
  client: Queryable,
  schema: string,
  stretch: Stretch,
): Promise<StretchCount> {
  const { rows } = await client.query(
    `${stretchSql(schema)}
     select count(*) filter (where is_replayable)::float8 as settled,
       count(*) filter (where is_replayable and is_before_channel)::float8 as "beforeChannel",
       count(distinct key) filter (where is_replayable)::float8 as keys,
       to_jsonb(min(id) filter (where is_replayable)) as "firstId",
       to_jsonb(max(id) filter (where is_replayable)) as "lastId",
       count(*) filter (where state = 'dead')::float8 as dead,
       count(*) filter (where state <> 'dead')::float8 as waiting,
       count(*) filter (where state is null and not is_replayable)::float8 as open
     from stretch`,
    stretchValues(stretch),
  );
  return rows[0] as StretchCount;
}

/** Reads the first notifications that would be replayed. */
export async function readStretch(
  client: Queryable,
  schema: string,
  stretch: Stretch,
  limit: number,
): Promise<StretchEntry[]> {
  const { rows } = await client.query(
    `${stretchSql(schema)}
     select to_jsonb(id) as id, channel, key, created_at as "createdAt" from stretch
     where is_replayable order by id limit $7`,
    [...stretchValues(stretch), limit],
  );
  return rows as StretchEntry[];
}

/**
 * The leased ids, and the stretch with the state of each notification. Takes the parameters of
 * stretchValues.
 */
export function stretchSql(schema: string): string {
  return `
with leased as materialized (
  select unnest(notification_ids) as id from ${qualified(schema, 'lease')} where consumer_id = $1
),
stretch as materialized (
  select log.id, log.channel, log.key, log.created_at, d.state,
    d.state is null and log.id not in (select id from leased)
      and ${settledSql(schema, 'progress', 'log')} as is_replayable,
    not ${wasReadSql(schema, 'progress', 'log')} as is_before_channel
  from ${qualified(schema, 'consumer_progress')} as progress
  cross join ${qualified(schema, 'origin')} as origin
  join ${qualified(schema, 'notification_log')} as log on ${isReadSql(schema, 'progress', 'log')}
  left join ${qualified(schema, 'delivery')} as d
    on d.consumer_id = progress.consumer_id and d.notification_id = log.id
  where progress.consumer_id = $1
    and ($2::timestamptz is null or log.created_at >= $2)
    and ($3::timestamptz is null or log.created_at < $3)
    and ($4::text is null or log.channel = $4)
    and ($5::text is null or log.key = $5)
    and ($6::bigint[] is null or log.id = any($6))
)`;
}

export function stretchValues(stretch: Stretch): unknown[] {
  const { consumerId, since, until, channel, key, ids } = stretch;
  return [consumerId, since, until, channel, key, ids];
}
