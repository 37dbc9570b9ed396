import { defineConsumer } from 'pgwatch';

/**
 * What this process remembers of the database, by row: 'public.users:42'. Code that reads a row
 * looks here first; when the row changes, whoever changed it, the entry goes.
 */
export const cache = new Map<string, unknown>();

let [changes, removed, reportedAt] = [0, 0, Date.now()];

export default defineConsumer({
  id: 'cache_invalidation',
  // Where notify_data_change() writes to, unless its trigger names another channel.
  channels: ['data_change'],
  // A new process has an empty cache: what changed before it started does not concern it.
  from: 'now',
  handle({ key, change }, { reporter }) {
    if (!change || key === null) return;
    changes += 1;
    if (change.action === 'TRUNCATE') removed += removeTable(key);
    else if (cache.delete(key)) removed += 1;
    if (Date.now() - reportedAt < 15_000) return;
    reporter.info(`${changes} changes, ${removed} entries removed.`);
    reportedAt = Date.now();
  },
});

/** TRUNCATE has no rows: its key is the table's, and all rows of the table go. */
function removeTable(table: string): number {
  const rows = [...cache.keys()].filter((key) => key.startsWith(`${table}:`));
  for (const key of rows) cache.delete(key);
  return rows.length;
}
