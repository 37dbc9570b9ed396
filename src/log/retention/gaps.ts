import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/** What consumers would miss, as counted by log_gaps. */
export type Counted = {
  /** The snapshot of the count: rows not visible in it were not counted. */
  countedIn: string;
  gaps: readonly { consumer_id: string; count: number }[];
};

/** Counts, per consumer, the notifications of a partition from before a time that are not done. */
export async function countGaps(
  client: Queryable,
  schema: string,
  { partition, before }: { partition: string; before: Date },
): Promise<Counted> {
  const { rows } = await client.query(
    `select counted_in::text as "countedIn", gaps
     from ${qualified(schema, 'log_gaps')}($1, $2)`,
    [partition, before],
  );
  return rows[0] as Counted;
}

/** Leaves a marker for each consumer that is about to miss something. */
export async function tellGaps(
  client: Queryable,
  schema: string,
  gaps: Counted['gaps'],
): Promise<void> {
  await client.query(`select ${qualified(schema, 'log_gap_tell')}($1)`, [JSON.stringify(gaps)]);
}

/** Copies a batch of notifications that are retried or leased into deliveries; returns how many. */
export async function keepDeliveries(
  client: Queryable,
  schema: string,
  partition: string,
): Promise<number> {
  const { rows } = await client.query(
    `select ${qualified(schema, 'log_keep')}($1, rows_max => 1000)::float8 as count`,
    [partition],
  );
  return (rows[0] as { count: number }).count;
}
