import { parseTableName, readDefaultSearchPath } from '../../capture/table-name.ts';
import { PgwatchError } from '../../errors.ts';
import { rowAt } from '../../inspect/history/at.ts';
import { readCoverage } from '../../inspect/history/read.ts';
import { findSubject } from '../../inspect/history/subject.ts';
import { undoSql } from '../../inspect/history/undo.ts';
import type { RowVersion } from '../../inspect/history/versions.ts';
import { withDatabase } from '../database.ts';
import { idFrom } from '../ids.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { atText, atToJson } from './at.ts';
import { printVersions } from './list.ts';
import type { HistoryOptions } from './options.ts';
import { type HistoryPlace, orderOf, versions } from './place.ts';

/**
 * Prints the versions of a row, the row at a time, or the SQL that undoes a version.
 * @throws PgwatchError usage, table_unsuitable, history_unknown, undo_impossible
 */
export async function history(
  asked: { table: string; id: string },
  options: HistoryOptions,
  outcome: CommandResult,
): Promise<void> {
  const table = parseTableName(asked.table);
  const { limit } = options;
  const undoId = options.undo === undefined ? undefined : idFrom(options.undo);
  await withDatabase(options, { mode: 'read' }, async (client, config) => {
    const schemas = table.schema === null ? await readDefaultSearchPath(client) : [];
    const subject = await findSubject(client, config, { table, id: asked.id, schemas });
    const place: HistoryPlace = { client, config, subject, options };
    const { omissions = [] } = subject.table ?? {};
    if (omissions.length > 0) {
      reporterFor(options).info(`Not in the log: ${omissions.join('; ')}.`);
    }
    if (options.at) await printAt(place, options.at, outcome);
    else if (undoId !== undefined) await printUndo(place, undoId);
    else await printVersions(place, limit);
  });
}

async function printAt(place: HistoryPlace, time: Date, outcome: CommandResult): Promise<void> {
  const { client, config, subject, options } = place;
  const found = await rowAt(versions(place, { until: null }), time, async () => {
    const since = await readCoverage(client, config.schema, subject);
    return since && options.since && options.since > since ? options.since : since;
  });
  const order = orderOf(subject);
  const json = atToJson(found, time, order);
  if (options.json) printJson(json);
  else if (found.state === 'exists') process.stdout.write(`${atText(found, order)}\n`);
  const { sentence, warning } = json;
  const reporter = reporterFor(options);
  reporter.info(`${subject.text} ${sentence}`);
  if (warning) reporter.warn(warning);
  if (found.state === 'unknown') outcome.exitCode = 1;
}

async function printUndo(place: HistoryPlace, notificationId: number): Promise<void> {
  const { client, config, subject, options } = place;
  let found: RowVersion | undefined;
  for await (const version of versions(place, { until: null })) {
    if (version.notificationId !== notificationId) continue;
    found = version;
    break;
  }
  if (!found) {
    throw new PgwatchError(
      'history_unknown',
      `Notification ${notificationId} is not a version of ${subject.text}: ` +
        '"pgwatch history" without --undo lists its versions.',
    );
  }
  const sql = await undoSql(client, config.schema, subject, found);
  if (options.json) printJson({ notificationId, sql });
  else process.stdout.write(`${sql}\n`);
}
