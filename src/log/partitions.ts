import type { Config } from '../config/define.ts';
import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';

/**
 * Creates the partitions for the time ahead that are still missing.
 * @returns the names of those it created
 */
export async function createPartitions(client: Queryable, config: Config): Promise<string[]> {
  const { rows } = await client.query(
    `select created from ${qualified(config.schema, 'log_partition_create')}($1, $2) as created`,
    [config.partition, config.partitionsAhead],
  );
  return (rows as { created: string }[]).map((row) => row.created);
}
