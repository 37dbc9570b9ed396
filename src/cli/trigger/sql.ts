import { changesTo } from '../../capture/changes.ts';
import { readCaptures } from '../../capture/existing.ts';
import { planCapture } from '../../capture/plan.ts';
import { overPresent } from '../../capture/present.ts';
import { captureScript, removalScript } from '../../capture/script.ts';
import { tableText } from '../../capture/table-name.ts';
import { withDatabase } from '../database.ts';
import { reporterFor } from '../options.ts';
import { printStatements, reportKept, warn } from './add.ts';
import { type SqlOptions, triggerOptionsFrom } from './options.ts';
import { findTables } from './tables.ts';

/**
 * Prints the SQL that captures tables, or stops capturing them, whether or not they are captured
 * now. Options that are not given keep the values of the present capture.
 */
export async function printSql(texts: readonly string[], options: SqlOptions): Promise<void> {
  const asked = triggerOptionsFrom(options);
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'read' }, async (client, config) => {
    const tables = await findTables(client, config, texts);
    const oids = tables.map(({ oid }) => oid);
    const existing = await readCaptures(client, config, oids);
    const changes = tables.map((table) => {
      const there = existing.find(({ tableOid }) => tableOid === table.oid)?.triggers ?? [];
      const { options: merged, kept } = overPresent(table, options.reset ? [] : there, asked);
      const capture = planCapture(table, merged, config);
      if (options.down) return { statements: removalScript(capture, config) };
      reportKept(reporter, capture, kept);
      const ours = there.filter(({ isOurs }) => isOurs);
      warn(reporter, capture, changesTo(capture, ours, config));
      if (ours.length < there.length) {
        reporter.warn(
          `${tableText(table)} also has a capture trigger that you created yourself: ` +
            'with both, each change is recorded twice.',
        );
      }
      return { statements: captureScript(capture, config) };
    });
    printStatements(changes);
  });
}
