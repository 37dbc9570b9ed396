import type { ClientBase } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { printable } from '../../reporter.ts';
import { readOtherHalf } from './key-change.ts';
import type { Subject } from './subject.ts';
import type { SubjectColumn, SubjectTable } from './subject-table.ts';
import { columnsOf, omitted, quoted, recordSql, tableSql, unchangedSql } from './undo-sql.ts';
import type { RowVersion } from './versions.ts';

/**
 * Writes SQL that reverses one change of a row, or does nothing if the row has changed since. It is
 * never run here.
 * @throws PgwatchError undo_impossible
 */
export async function undoSql(
  client: ClientBase,
  schema: string,
  subject: Subject,
  version: RowVersion,
): Promise<string> {
  const { table } = subject;
  const { notificationId, action, createdAt, xid } = version;
  if (!table) {
    throw impossible(`The table ${subject.name} does not exist any more, or was renamed.`);
  }
  const { sql, remarks } = await statementFor(client, table, version);
  const other = await readOtherHalf(client, schema, version);
  const comments = [
    `Undoes notification ${notificationId}: ${action} of ${subject.text}, ` +
      `${createdAt.toISOString()}, transaction ${xid}.`,
    ...(other === null
      ? []
      : [
          'It is half of a key change. The other half is notification ' +
            `${other.notificationId}: undo both.`,
        ]),
    ...remarks,
  ];
  return [...comments.map((each) => `-- ${onOneLine(each)}`), `${sql};`].join('\n');
}

type Statement = { sql: string; remarks: string[] };

function statementFor(
  client: ClientBase,
  table: SubjectTable,
  version: RowVersion,
): Promise<Statement> {
  const { action, source } = version;
  const [before = '{}', after = '{}'] = [source[8] ?? '{}', source[9] ?? '{}'];
  switch (action) {
    case 'INSERT':
      return undoInsert(client, table, after);
    case 'UPDATE':
      return undoUpdate(client, table, { before, after, version });
    case 'DELETE':
      return undoDelete(client, table, before);
    case 'TRUNCATE':
      throw impossible(
        'TRUNCATE cannot be undone: its notification does not hold the rows. ' +
          'Use --at to see what each of them was.',
      );
    default:
      throw impossible('A SNAPSHOT changes nothing, so there is nothing to undo.');
  }
}

async function undoInsert(
  client: ClientBase,
  table: SubjectTable,
  row: string,
): Promise<Statement> {
  const columns = columnsOf(table, row).filter(({ isGenerated }) => !isGenerated);
  const conditions = [...keyIs(table, columns), ...unchangedSql(table, columns)];
  const found = await recordSql(client, { alias: 'found', row, columns });
  return {
    sql:
      `delete from ${tableSql(table)} as t\nusing ${found}\n` +
      `where ${conditions.join('\n  and ')}`,
    remarks: [GUARDED, ...omitted(table, row)],
  };
}

async function undoUpdate(
  client: ClientBase,
  table: SubjectTable,
  { before, after, version }: { before: string; after: string; version: RowVersion },
): Promise<Statement> {
  const columns = columnsOf(table, after);
  const changed = columns.filter(
    ({ name, isGenerated }) => version.changed.includes(name) && !isGenerated,
  );
  if (changed.length === 0) {
    throw impossible(
      `Notification ${version.notificationId} has nothing to undo: ` +
        'it holds no changed column that the table still has.',
    );
  }
  const keys = columns.filter(({ name }) => table.primaryKey.includes(name));
  const was = await recordSql(client, { alias: 'was', row: before, columns: changed });
  const found = await recordSql(client, {
    alias: 'found',
    row: after,
    columns: [...keys, ...changed],
  });
  const sets = changed.map(({ name }) => `${quoted(name)} = was.${quoted(name)}`);
  const conditions = [...keyIs(table, keys), ...unchangedSql(table, changed)];
  return {
    sql:
      `update ${tableSql(table)} as t\nset ${sets.join(',\n  ')}\n` +
      `from ${was},\n  ${found}\nwhere ${conditions.join('\n  and ')}`,
    remarks: [GUARDED],
  };
}

async function undoDelete(
  client: ClientBase,
  table: SubjectTable,
  row: string,
): Promise<Statement> {
  const columns = columnsOf(table, row).filter(({ isGenerated }) => !isGenerated);
  const was = await recordSql(client, { alias: 'was', row, columns });
  const names = columns.map(({ name }) => quoted(name)).join(', ');
  const overriding = columns.some((each) => each.isIdentityAlways)
    ? '\noverriding system value'
    : '';
  return {
    sql: `insert into ${tableSql(table)} (${names})${overriding}\nselect ${names} from ${was}`,
    remarks: omitted(table, row),
  };
}

function keyIs({ primaryKey, name }: SubjectTable, columns: readonly SubjectColumn[]): string[] {
  if (!primaryKey.every((key) => columns.some((column) => column.name === key))) {
    throw impossible(
      `The notification lacks the primary key that ${name} has now (${primaryKey.join(', ')}).`,
    );
  }
  return primaryKey.map((key) => `t.${quoted(key)} = found.${quoted(key)}`);
}

/** A line break would end the comment. */
function onOneLine(text: string): string {
  return printable(text).replaceAll(/\s/g, ' ');
}

function impossible(message: string): PgwatchError {
  return new PgwatchError('undo_impossible', message);
}

const GUARDED = 'It changes nothing (0 rows) if the row has changed since.';
