import { defineConsumer } from 'pgwatch';

/**
 * What this process has cached of the database, by row: 'public.users:42'. Code that reads a row
 * looks here first; when any client changes the row, the entry is removed.
 */
export const cache = new Map<string, unknown>();

let [changes, removed, reportedAt] = [0, 0, Date.now()];

export default defineConsumer({
  id: 'cache_invalidation',
  // The channel of notify_data_change(), unless its trigger names another.
  channels: ['data_change'],
  // A new process starts with an empty cache: earlier changes do not matter to it.
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

/** TRUNCATE names no rows: its key is the table's, and all entries of the table are removed. */
function removeTable(table: string): number {
  const rows = [...cache.keys()].filter((key) => key.startsWith(`${table}:`));
  for (const key of rows) cache.delete(key);
  return rows.length;
}
