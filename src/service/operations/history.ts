import type { ClientBase } from 'pg';
import { parseTableName, readDefaultSearchPath, tableText } from '../../capture/table-name.ts';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { rowAt } from '../../inspect/history/at.ts';
import { type OtherHalf, readOtherHalf } from '../../inspect/history/key-change.ts';
import {
  type Period,
  readCoverage,
  readFirst,
  readRowChanges,
} from '../../inspect/history/read.ts';
import { findSubject, type Subject } from '../../inspect/history/subject.ts';
import { undoSql } from '../../inspect/history/undo.ts';
import { type RowVersion, versionsOf } from '../../inspect/history/versions.ts';
import { type RowAtReport, rowAtReport } from './history-at.ts';

/** A version of a row, and the other half of the change if it has changed the key. */
export type HistoryEntry = Omit<RowVersion, 'source'> & { otherHalf: OtherHalf | null };

/** A row whose history is asked for, and the connection to read it. */
export type HistoryRow = { client: ClientBase; config: Config; subject: Subject };

/**
 * Finds the row that a table and an id refer to.
 * @param asked.table as in SQL; it may have been dropped
 * @param asked.id the primary key; 'a=1,b=2' or JSON if it has several columns
 * @throws PgwatchError table_unsuitable, usage
 */
export async function findRow(
  client: ClientBase,
  config: Config,
  asked: { table: string; id: string },
): Promise<HistoryRow> {
  const table = parseTableName(asked.table);
  const schemas = table.schema === null ? await readDefaultSearchPath(client) : [];
  const subject = await findSubject(client, config, { table, id: asked.id, schemas });
  return { client, config, subject };
}

/**
 * The newest versions of a row, the oldest of them first.
 * @returns count: how many there are altogether
 * @throws PgwatchError history_unknown if there are none
 */
export async function readVersions(
  row: HistoryRow,
  { limit, ...period }: Period & { limit: number },
): Promise<{ entries: HistoryEntry[]; count: number }> {
  const newest: RowVersion[] = [];
  let count = 0;
  for await (const version of versions(row, period)) {
    // It is unknown whether the row was among those removed.
    if (count === 0 && version.action === 'TRUNCATE') continue;
    count += 1;
    if (newest.push(version) > limit) newest.shift();
  }
  if (count === 0) throw await unknown(row, period);
  const entries: HistoryEntry[] = [];
  for (const version of newest) {
    const otherHalf = await readOtherHalf(row.client, row.config.schema, version);
    const { source: _, ...shown } = version;
    entries.push({ ...shown, otherHalf });
  }
  return { entries, count };
}

/**
 * What the log tells about a row at a time.
 * @param since reads only that part of the log; null: all of it
 */
export async function readRowAt(
  row: HistoryRow,
  time: Date,
  since: Date | null,
): Promise<RowAtReport> {
  const { client, config, subject } = row;
  const found = await rowAt(versions(row, { since, until: null }), time, async () => {
    const covered = await readCoverage(client, config.schema, subject);
    return covered && since && since > covered ? since : covered;
  });
  return rowAtReport(found, time, columnOrder(row));
}

/**
 * The SQL that undoes a version.
 * @throws PgwatchError history_unknown, undo_impossible
 */
export async function writeUndo(
  row: HistoryRow,
  notificationId: number,
  since: Date | null,
): Promise<{ notificationId: number; sql: string }> {
  const { client, config, subject } = row;
  for await (const version of versions(row, { since, until: null })) {
    if (version.notificationId !== notificationId) continue;
    return { notificationId, sql: await undoSql(client, config.schema, subject, version) };
  }
  throw new PgwatchError(
    'history_unknown',
    `Notification ${notificationId} is not a version of ${subject.text}: ` +
      '"pgwatch history" without --undo lists its versions.',
  );
}

/** The columns in the order of the table. */
export function columnOrder({ subject }: HistoryRow): string[] {
  return subject.table?.columns.map(({ name }) => name) ?? [];
}

/** @throws PgwatchError usage if several schemas have tables of that name */
async function* versions(
  { client, config, subject }: HistoryRow,
  period: Period,
): AsyncGenerator<RowVersion> {
  const rows = readRowChanges(client, config.schema, subject, period);
  let first: RowVersion | undefined;
  for await (const version of versionsOf(rows, subject.table?.captureKey)) {
    first ??= version;
    if (version.schema !== first.schema) {
      const [one, other] = [first, version].map(({ schema, table: name }) =>
        tableText({ schema, name }),
      );
      throw new PgwatchError(
        'usage',
        `The log has both ${one} and ${other}: give the name with its schema.`,
      );
    }
    yield version;
  }
}

async function unknown(
  { client, config, subject }: HistoryRow,
  { since, until }: Period,
): Promise<PgwatchError> {
  const coverage = await readCoverage(client, config.schema, subject);
  const first = coverage === null ? await readFirst(client, config.schema) : null;
  const begins =
    first && first.id > 1
      ? ` It begins at id ${first.id.toLocaleString('en')}, of ${first.createdAt.toISOString()}; ` +
        'older notifications have been removed.'
      : '';
  const reason =
    coverage === null
      ? 'It has no changes of the table at all: is the name right, and is the table captured ' +
        `("pgwatch trigger list")?${begins}`
      : `It covers the table since ${coverage.toISOString()}; ` +
        'no row with exactly this id has changed since.';
  const bounds = since || until ? ' in the period asked for' : '';
  return new PgwatchError(
    'history_unknown',
    `The log has no changes of ${subject.text}${bounds}. ${reason}`,
  );
}
