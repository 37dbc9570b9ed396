import { inject } from 'vitest';

/** Before 15 nobody can ask the server to count at once what was touched. */
export const canCountBlocks = inject('serverMajor') >= 15;
if (!canCountBlocks) {
  console.warn('SKIPPED: how many blocks a statement touches, which needs PostgreSQL 15 or newer.');
}

type Queries = { query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> };

/**
 * How many blocks of the tables and their indexes the work touches, by the server's own count.
 * @param client the session that does the work: what others have touched is counted later
 */
export async function blocksOf(
  client: Queries,
  tables: readonly string[],
  work: () => Promise<unknown>,
): Promise<number> {
  const read = async () => {
    await client.query('select pg_stat_force_next_flush()');
    const { rows } = await client.query(
      `select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::int as blocks
       from pg_statio_user_tables where relname = any($1)`,
      [tables],
    );
    return (rows[0] as { blocks: number }).blocks;
  };
  const before = await read();
  await work();
  return (await read()) - before;
}
