import { inject } from 'vitest';

/** Before version 15 the server cannot be asked to flush its statistics at once. */
export const canCountBlocks = inject('serverMajor') >= 15;
if (!canCountBlocks) {
  console.warn(
    'SKIPPED: counting the blocks that a statement touches needs PostgreSQL 15 or newer.',
  );
}

type Queries = { query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> };

/**
 * Counts the blocks of the tables and their indexes that the work touches, by the server's own
 * statistics.
 * @param client the session that does the work: what other sessions touch is counted later
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
