import { qualified } from '../../database/names.ts';

export type DeliveryState = 'retry' | 'blocked' | 'dead';

/** Selects the deliveries that match every condition. Null: no such condition. */
export type DeliveryFilter = {
  ids: readonly number[] | null;
  consumerIds: readonly string[] | null;
  state: DeliveryState | null;
  /** A part of the last error, as "name: message"; case-insensitive. */
  errorText: string | null;
  /** The age of the last failure. */
  olderThanMs: number | null;
  newerThanMs: number | null;
  channel: string | null;
  key: string | null;
};

/** Selects every delivery. */
export const NO_FILTER: DeliveryFilter = {
  ids: null,
  consumerIds: null,
  state: null,
  errorText: null,
  olderThanMs: null,
  newerThanMs: null,
  channel: null,
  key: null,
};

/**
 * The condition on a delivery d, with the parameters of filterValues. The planner removes
 * conditions whose parameter is null. strpos instead of LIKE: the text contains no wildcards.
 */
export function filterSql(schema: string): string {
  return `
    ($1::bigint[] is null or d.notification_id = any($1))
    and ($2::text[] is null or d.consumer_id = any($2))
    and ($3::text is null or d.state = $3)
    and ($4::text is null or strpos(
      lower(concat_ws(': ', d.last_error ->> 'name', d.last_error ->> 'message')), lower($4)) > 0)
    and ($5::float8 is null or ${AGE_MS} > $5)
    and ($6::float8 is null or ${AGE_MS} <= $6)
    and ($7::text is null or $7 = coalesce(d.notification ->> 'channel', (
      select n.channel from ${qualified(schema, 'notification')} as n
      where n.id = d.notification_id limit 1)))
    and ($8::text is null or d.key = $8)`;
}

/** The first eight parameters of a statement with filterSql. */
export function filterValues(filter: DeliveryFilter): unknown[] {
  const { ids, consumerIds, state, errorText, olderThanMs, newerThanMs, channel, key } = filter;
  return [ids, consumerIds, state, errorText, olderThanMs, newerThanMs, channel, key];
}

/** A number, not an interval: no duration is too long for it. */
const AGE_MS = `extract(epoch from now() - d.last_failed_at)::float8 * 1000`;
