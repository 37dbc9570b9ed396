import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/** A part of the log. The default one has no bounds: it takes what finds no other. */
export type Partition = {
  name: string;
  starts: Date | null;
  ends: Date | null;
  /** Null where the server has not counted yet. */
  rowEstimate: number | null;
  bytes: number;
};

/** The partitions of the log, in order of time; the default one comes last. */
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

/** What a partition holds from before a time. */
export type Share = 'all' | 'part' | 'none';

/**
 * Which share of a partition is from before a time: of the default one nobody knows without
 * looking.
 */
export function shareBefore({ starts, ends }: Partition, before: Date): Share {
  if (ends === null) return 'part';
  if (ends <= before) return 'all';
  return starts === null || starts < before ? 'part' : 'none';
}

/** How much of a partition is from before a time. */
export type Span = {
  /** The snapshot in which it was counted. */
  countedIn: string;
  count: number;
  /** The highest id from before; null where there is none. */
  lastId: string | null;
  /** The lowest of the others; null where there is none. */
  youngId: string | null;
};

/** Reads all of the partition. */
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

/** Infinity, as of a partition without an end, is no time of JavaScript's: the last one that is. */
function toDate(epochMs: number | null): Date | null {
  if (epochMs === null) return null;
  return new Date(Math.min(Math.max(epochMs, -TIME_MS_MAX), TIME_MS_MAX));
}

const TIME_MS_MAX = 8.64e15;
