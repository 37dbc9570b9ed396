import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/** A partition of the log. The default one has no bounds: it takes rows that fit no other. */
export type Partition = {
  name: string;
  starts: Date | null;
  ends: Date | null;
  /** Null if the server has no estimate yet. */
  rowEstimate: number | null;
  bytes: number;
};

/** Reads the partitions of the log in order of time; the default one comes last. */
export async function readPartitions(client: Queryable, schema: string): Promise<Partition[]> {
  const { rows } = await client.query(
    `select name, extract(epoch from starts)::float8 * 1000 as starts,
       extract(epoch from ends)::float8 * 1000 as ends,
       row_estimate as "rowEstimate", bytes::float8 as bytes
     from ${qualified(schema, 'log_partitions')}()`,
  );
  type Row = Omit<Partition, 'starts' | 'ends'> & { starts: number | null; ends: number | null };
  return (rows as Row[]).map((row) => ({
    ...row,
    starts: toDate(row.starts),
    ends: toDate(row.ends),
  }));
}

/** How much of a partition is from before a time. */
export type Share = 'all' | 'part' | 'none';

/**
 * How much of a partition is from before a time, by its bounds. The default one may contain any
 * time.
 */
export function shareBefore({ starts, ends }: Partition, before: Date): Share {
  if (ends === null) return 'part';
  if (ends <= before) return 'all';
  return starts === null || starts < before ? 'part' : 'none';
}

/** The rows of a partition from before a time. */
export type Span = {
  /** The snapshot in which it was counted. */
  countedIn: string;
  count: number;
  /** The highest id from before the time; null if there is none. */
  lastId: string | null;
  /** The lowest of the other ids; null if there is none. */
  youngId: string | null;
};

/** Counts the rows from before a time; this reads the whole partition. */
export async function readSpan(
  client: Queryable,
  schema: string,
  { partition, before }: { partition: string; before: Date },
): Promise<Span> {
  const { rows } = await client.query(
    `select counted_in::text as "countedIn", old_count::float8 as count,
       last_old_id::text as "lastId", first_young_id::text as "youngId"
     from ${qualified(schema, 'log_span')}($1, $2)`,
    [partition, before],
  );
  return rows[0] as Span;
}

/**
 * JavaScript has no infinite time, as a partition without bounds has: uses the last possible one.
 */
function toDate(epochMs: number | null): Date | null {
  if (epochMs === null) return null;
  return new Date(Math.min(Math.max(epochMs, -TIME_MS_MAX), TIME_MS_MAX));
}

const TIME_MS_MAX = 8.64e15;
