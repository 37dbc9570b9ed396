import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';

/** The log as a whole. */
export type LogSummary = {
  /** On disk, with indexes. */
  bytes: number;
  newestId: number | null;
  newestAt: Date | null;
};

export async function readLogSummary(client: Queryable, schema: string): Promise<LogSummary> {
  const { rows } = await client.query<LogSummary>(
    `select (
         select sum(pg_total_relation_size(relid))::float8
         from pg_partition_tree($1::regclass) where isleaf
       ) as bytes,
       to_jsonb(newest.id) as "newestId", newest.created_at as "newestAt"
     from (select) as one
     left join lateral (
       /* The view, because roles that only read have no access to the table. */
       select id, created_at from ${qualified(schema, 'notification')} order by id desc limit 1
     ) as newest on true`,
    [qualified(schema, 'notification_log')],
  );
  return rows[0] as LogSummary;
}
