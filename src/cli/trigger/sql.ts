import { changesTo } from '../../capture/changes.ts';
import { planCapture } from '../../capture/plan.ts';
import { dropSql, TRIGGER_PREFIX } from '../../capture/trigger-sql.ts';
import { OPERATIONS } from '../../config/triggers.ts';
import { withSchemaToRead } from '../connected.ts';
import { type CommonOptions, reporterFor } from '../options.ts';
import { printStatements } from './add.ts';
import { type CaptureFlags, triggerOptionsFrom } from './options.ts';
import { findTables } from './tables.ts';

type SqlOptions = CommonOptions & CaptureFlags & { down?: boolean };

/** Prints the SQL that captures tables, or captures them no longer, whether or not they are now. */
export async function printSql(texts: readonly string[], options: SqlOptions): Promise<void> {
  const asked = triggerOptionsFrom(options);
  const reporter = reporterFor(options);
  await withSchemaToRead(options, async (client, config) => {
    const tables = await findTables(client, config, texts);
    const captures = tables.map((table) => planCapture(table, asked));
    for (const warning of captures.flatMap(({ warnings }) => warnings)) reporter.warn(warning);
    const changes = captures.map((capture) => {
      const { table, triggers } = capture;
      const drop = (name: string) => dropSql(table, name);
      if (options.down) return { statements: triggers.map(({ name }) => drop(name)) };
      // An earlier migration may have made what is not wanted any more.
      const wanted = triggers.map(({ name }) => name);
      const others = OPERATIONS.map((each) => `${TRIGGER_PREFIX}${each}`).filter(
        (name) => !wanted.includes(name),
      );
      const { statements } = changesTo(capture, [], config);
      return { statements: [...others.map(drop), ...statements] };
    });
    printStatements(changes);
  });
}
