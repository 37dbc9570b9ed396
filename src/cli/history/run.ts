import type { ClientBase } from 'pg';
import { parseTableName, readDefaultSearchPath, tableText } from '../../capture/table-name.ts';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { rowAt } from '../../inspect/history/at.ts';
import { type Period, readCoverage, readRowChanges } from '../../inspect/history/read.ts';
import { findSubject, type Subject } from '../../inspect/history/subject.ts';
import { undoSql } from '../../inspect/history/undo.ts';
import { type RowVersion, versionsOf } from '../../inspect/history/versions.ts';
import { withSchema } from '../connected.ts';
import { idsFrom } from '../dlq/filter.ts';
import { type CommonOptions, type Outcome, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { atText, atToJson } from './at.ts';
import { versionText, versionToJson } from './version.ts';

export type HistoryOptions = CommonOptions & {
  at?: Date;
  undo?: string;
  diff?: boolean;
  since?: Date;
  until?: Date;
  limit: string;
  json?: boolean;
};

/**
 * Prints the versions of a row, the row at a time, or how to undo a version.
 * @throws PgwatchError usage, table_unsuitable, history_unknown, undo_impossible
 */
export async function history(
  asked: { table: string; id: string },
  options: HistoryOptions,
  outcome: Outcome,
): Promise<void> {
  if (options.at && options.undo !== undefined) {
    throw new PgwatchError('usage', '--at and --undo are two questions: ask one of them.');
  }
  const table = parseTableName(asked.table);
  const limit = limitOf(options.limit);
  const [undoId] = idsFrom(options.undo === undefined ? [] : [options.undo]) ?? [];
  await withSchema(options, async (client, config) => {
    const schemas = table.schema === null ? await readDefaultSearchPath(client) : [];
    const subject = await findSubject(client, config, { table, id: asked.id, schemas });
    const place: Place = { client, config, subject, options };
    const { omissions = [] } = subject.table ?? {};
    if (omissions.length > 0) {
      reporterFor(options).info(`Its capture leaves something out: ${omissions.join('; ')}.`);
    }
    if (options.at) await printAt(place, options.at, outcome);
    else if (undoId !== undefined) await printUndo(place, undoId);
    else await printVersions(place, limit);
  });
}

type Place = { client: ClientBase; config: Config; subject: Subject; options: HistoryOptions };

async function printVersions(place: Place, limit: number): Promise<void> {
  const { options, subject } = place;
  const newest: RowVersion[] = [];
  let count = 0;
  for await (const version of versions(place, { until: options.until ?? null })) {
    // Whether the row was among those, nothing tells.
    if (count === 0 && version.action === 'TRUNCATE') continue;
    count += 1;
    if (newest.push(version) > limit) newest.shift();
  }
  if (count === 0) throw await unknown(place);
  if (options.json) return printJson(newest.map(versionToJson));
  const texts = newest.map((version, index) =>
    versionText(version, {
      isFirst: index === 0,
      isDiff: options.diff ?? false,
      order: orderOf(subject),
    }),
  );
  process.stdout.write(`${texts.join('\n')}\n`);
  if (count > limit) {
    reporterFor(options).info(
      `The newest ${limit} of ${count.toLocaleString('en')} versions of ${subject.text}: see more with --limit.`,
    );
  }
}

async function printAt(place: Place, time: Date, outcome: Outcome): Promise<void> {
  const { client, config, subject, options } = place;
  const found = await rowAt(versions(place, { until: null }), time, async () => {
    const since = await readCoverage(client, config.schema, subject);
    return since && options.since && options.since > since ? options.since : since;
  });
  if (options.json) printJson(atToJson(found, time));
  else if (found.state === 'exists') process.stdout.write(`${atText(found, orderOf(subject))}\n`);
  const { sentence, warning } = atToJson(found, time);
  const reporter = reporterFor(options);
  reporter.info(`${subject.text} ${sentence}`);
  if (warning) reporter.warn(warning);
  if (found.state === 'unknown') outcome.exitCode = 1;
}

async function printUndo(place: Place, notificationId: number): Promise<void> {
  const { client, config, subject } = place;
  let found: RowVersion | undefined;
  for await (const version of versions(place, { until: null })) {
    if (version.notificationId !== notificationId) continue;
    found = version;
    break;
  }
  if (!found) {
    throw new PgwatchError(
      'history_unknown',
      `Notification ${notificationId} is no version of ${subject.text}: see "pgwatch history" without --undo.`,
    );
  }
  process.stdout.write(`${await undoSql(client, config.schema, subject, found)}\n`);
}

/** The columns as the table has them. */
function orderOf({ table }: Subject): string[] {
  return table?.columns.map(({ name }) => name) ?? [];
}

/** @throws PgwatchError usage where tables of that name lie in several schemas */
async function* versions(
  { client, config, subject, options }: Place,
  { until }: Pick<Period, 'until'>,
): AsyncGenerator<RowVersion> {
  const period = { since: options.since ?? null, until };
  const rows = readRowChanges(client, config.schema, subject, period);
  let first: RowVersion | undefined;
  for await (const version of versionsOf(rows, subject.table?.captureKey)) {
    first ??= version;
    if (version.schema !== first.schema) {
      const [one, other] = [first, version].map(({ schema, table: name }) =>
        tableText({ schema, name }),
      );
      throw new PgwatchError('usage', `The log has ${one} and ${other}: say which one is meant.`);
    }
    yield version;
  }
}

async function unknown({ client, config, subject, options }: Place): Promise<PgwatchError> {
  const coverage = await readCoverage(client, config.schema, subject);
  const reason =
    coverage === null
      ? 'It has nothing of the table at all: is it captured ("pgwatch trigger list"), and called that?'
      : `It tells of the table since ${coverage.toISOString()}, and the row was not changed in that time.`;
  const bounds = options.since || options.until ? ' between --since and --until' : '';
  return new PgwatchError(
    'history_unknown',
    `The log has nothing of ${subject.text}${bounds}. ${reason}`,
  );
}

function limitOf(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new PgwatchError('usage', `--limit is a number from 1 to ${LIMIT_MAX}, not "${text}".`);
}

const LIMIT_MAX = 10_000;
