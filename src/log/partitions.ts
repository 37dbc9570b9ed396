import type { Config } from '../config/define.ts';
import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';

/**
 * Creates the partitions for the time ahead that are still missing.
 * @returns the names of those it created, and how many bytes lie in the default partition
 */
export async function createPartitions(
  client: Queryable,
  config: Config,
): Promise<{ created: string[]; defaultBytes: number }> {
  const { rows } = await client.query(
    `select created from ${qualified(config.schema, 'log_partition_create')}($1, $2) as created`,
    [config.partition, config.partitionsAhead],
  );
  const { rows: sizes } = await client.query(
    'select pg_relation_size($1::regclass)::float8 as bytes',
    [qualified(config.schema, 'notification_log_default')],
  );
  return {
    created: (rows as { created: string }[]).map((row) => row.created),
    defaultBytes: (sizes[0] as { bytes: number }).bytes,
  };
}
