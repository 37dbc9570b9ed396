import type { Client } from 'pg';
import { parseTableName } from '../../src/capture/table-name.ts';
import { type RowAt, rowAt } from '../../src/inspect/history/at.ts';
import { readCoverage, readRowChanges } from '../../src/inspect/history/read.ts';
import { findSubject } from '../../src/inspect/history/subject.ts';
import { undoSql } from '../../src/inspect/history/undo.ts';
import { type RowVersion, versionsOf } from '../../src/inspect/history/versions.ts';
import type { TestDatabase } from '../helpers/database.ts';

/** Everything that can be asked about a row's history. */
export type RowHistory = {
  versions: RowVersion[];
  /** 'UPDATE name', with 'gap' if something has changed the row before. */
  short: string[];
  at(time: Date): Promise<RowAt>;
  /** The SQL that would undo the last version. */
  undoLast(): Promise<string>;
};

export async function historyOf(
  database: TestDatabase,
  client: Client,
  asked: { table: string; id: string },
): Promise<RowHistory> {
  const table = parseTableName(asked.table);
  const named = { table, id: asked.id, schemas: ['public'] };
  const subject = await findSubject(client, database.config, named);
  const period = { since: null, until: null };
  const read = () =>
    versionsOf(readRowChanges(client, 'pgwatch', subject, period), subject.table?.captureKey);
  const versions = await Array.fromAsync(read());
  return {
    versions,
    short: versions.map(({ action, changed, isAfterGap }) =>
      [action, ...changed, ...(isAfterGap ? ['gap'] : [])].join(' '),
    ),
    at: (time) => rowAt(read(), time, () => readCoverage(client, 'pgwatch', subject)),
    undoLast: () => undoSql(client, 'pgwatch', subject, versions.at(-1) as RowVersion),
  };
}
