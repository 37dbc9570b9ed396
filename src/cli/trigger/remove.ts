import { applyChange } from '../../capture/apply.ts';
import { changesToNone } from '../../capture/changes.ts';
import { readCaptures } from '../../capture/existing.ts';
import { tableText } from '../../capture/table-name.ts';
import { withDatabase } from '../database.ts';
import { reporterFor } from '../options.ts';
import { applierFor, printStatements } from './add.ts';
import type { RemoveOptions } from './options.ts';
import { findTables } from './tables.ts';

/** Drops every trigger of the tables that calls notify_data_change. */
export async function removeTriggers(
  texts: readonly string[],
  options: RemoveOptions,
): Promise<void> {
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'change' }, async (client, config) => {
    const tables = await findTables(client, config, texts);
    const oids = tables.map(({ oid }) => oid);
    const existing = await readCaptures(client, config, oids);
    const changes = tables.map((table) => {
      const there = existing.find(({ tableOid }) => tableOid === table.oid);
      return changesToNone(table, there?.triggers ?? []);
    });
    if (options.dryRun) return printStatements(changes);
    const apply = applierFor(reporter, config);
    for (const change of changes) {
      await applyChange(client, change, apply);
      const name = tableText(change.table);
      reporter.info(
        change.kind === 'removed'
          ? `Removed: ${name} is no longer captured.`
          : `Unchanged: ${name} was not captured.`,
      );
    }
  });
}
