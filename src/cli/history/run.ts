import {
  columnOrder,
  findRow,
  type HistoryRow,
  readRowAt,
  readVersions,
  writeUndo,
} from '../../service/operations/history.ts';
import { withDatabase } from '../database.ts';
import { idFrom } from '../ids.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import type { HistoryOptions } from './options.ts';
import { columnLines, versionText } from './version.ts';

/**
 * Prints the versions of a row, the row at a time, or the SQL that undoes a version.
 * @throws PgwatchError usage, table_unsuitable, history_unknown, undo_impossible
 */
export async function history(
  asked: { table: string; id: string },
  options: HistoryOptions,
  outcome: CommandResult,
): Promise<void> {
  const undoId = options.undo === undefined ? undefined : idFrom(options.undo);
  await withDatabase(options, { mode: 'read' }, async (client, config) => {
    const row = await findRow(client, config, asked);
    const { omissions = [] } = row.subject.table ?? {};
    if (omissions.length > 0) {
      reporterFor(options).info(`Not in the log: ${omissions.join('; ')}.`);
    }
    if (options.at) await printAt(row, options.at, options, outcome);
    else if (undoId !== undefined) await printUndo(row, undoId, options);
    else await printVersions(row, options);
  });
}

async function printVersions(row: HistoryRow, options: HistoryOptions): Promise<void> {
  const { since = null, until = null, limit } = options;
  const { entries, count } = await readVersions(row, { since, until, limit });
  if (options.json) {
    printJson(entries);
  } else {
    const view = { isDiff: options.diff ?? false, order: columnOrder(row) };
    const texts = entries.map((each, index) =>
      versionText(each, { ...view, isFirst: index === 0 }),
    );
    process.stdout.write(`${texts.join('\n')}\n`);
  }
  if (count <= limit) return;
  reporterFor(options).info(
    `Showing the newest ${limit} of ${count.toLocaleString('en')} versions ` +
      `of ${row.subject.text}; --limit shows more.`,
  );
}

async function printAt(
  row: HistoryRow,
  time: Date,
  options: HistoryOptions,
  outcome: CommandResult,
): Promise<void> {
  const found = await readRowAt(row, time, options.since ?? null);
  if (options.json) printJson(found);
  else if (found.state === 'exists') {
    const lines = columnLines(found.row ?? {}, columnOrder(row)).map((line) => line.trimStart());
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  const reporter = reporterFor(options);
  reporter.info(`${row.subject.text} ${found.sentence}`);
  if (found.warning) reporter.warn(found.warning);
  if (found.state === 'unknown') outcome.exitCode = 1;
}

async function printUndo(row: HistoryRow, id: number, options: HistoryOptions): Promise<void> {
  const undo = await writeUndo(row, id, options.since ?? null);
  if (options.json) printJson(undo);
  else process.stdout.write(`${undo.sql}\n`);
}
