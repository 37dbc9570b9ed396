import type { ClientBase } from 'pg';
import { type TableName, tableText } from '../../capture/table-name.ts';
import { isStatementError } from '../../database/connect.ts';
import type { Names } from '../../database/names.ts';
import { VALUE_FORMATS } from '../../database/settings.ts';
import { settingsSql, withTransaction } from '../../database/transaction.ts';
import { PgwatchError } from '../../errors.ts';
import { idTexts } from './row-id.ts';
import { readSubjectTable, type SubjectTable } from './subject-table.ts';

/** The row whose history is requested. */
export type Subject = {
  /** Null if not known, since the table is gone. */
  schema: string | null;
  name: string;
  /** Null if it is gone, was renamed, or never existed. */
  table: SubjectTable | null;
  /** The columns of the key, if they were named. */
  keyColumns: string[] | null;
  /** What each part of the key may look like in the log, as JSON texts. */
  keyValues: string[][];
  /** As people write it: public.users 42. */
  text: string;
};

/**
 * Finds the row that a table and an id on the command line refer to.
 * @param asked.schemas where to look for a table without a schema
 * @throws PgwatchError table_unsuitable, usage
 */
export async function findSubject(
  client: ClientBase,
  names: Names,
  asked: { table: TableName; id: string; schemas: readonly string[] },
): Promise<Subject> {
  const { table: wanted, schemas } = asked;
  const table = await readSubjectTable(client, names, wanted, schemas);
  if (table && table.primaryKey.length === 0) {
    throw new PgwatchError(
      'table_unsuitable',
      `${tableText(table)} has no primary key to identify its rows. ` +
        `See all its changes with "pgwatch tail --table ${tableText(table)} --from start".`,
    );
  }
  const { columns, texts } = idTexts(asked.id, table?.primaryKey ?? null);
  const keyValues: string[][] = [];
  for (const [index, text] of texts.entries()) {
    const name = columns?.[index] ?? table?.primaryKey[index];
    const type = table?.columns.find((column) => column.name === name)?.ownType;
    keyValues.push([...(await canonical(client, text, type ?? null)), ...plain(text)]);
  }
  const { schema, name } = table ?? wanted;
  const tableName = schema === null ? name : tableText({ schema, name });
  return { schema, name, table, keyColumns: columns, keyValues, text: `${tableName} ${asked.id}` };
}

/**
 * The value as it is in the log, converted by the type of the column. User-defined types are left
 * out: their checks and casts are functions of their owner, which would run with the rights of the
 * current role.
 */
async function canonical(client: ClientBase, text: string, type: string | null): Promise<string[]> {
  if (type === null) return [];
  return withTransaction(
    client,
    async () => {
      await client.query(settingsSql(VALUE_FORMATS, 'transaction'));
      const { rows } = await client.query<{ value: string }>(
        `select to_jsonb($1::text::${type})::text as value`,
        [text],
      );
      return [rows[0]?.value ?? 'null'];
    },
    'begin read only',
  ).catch((thrown: unknown) => {
    if (!isStatementError(thrown)) throw thrown;
    throw new PgwatchError('usage', `"${text}" is not a valid ${type}, the type of the key.`, {
      cause: thrown,
    });
  });
}

/** What the log may have if the key was, or is, of another type: a text, or a number. */
function plain(text: string): string[] {
  const quoted = JSON.stringify(text);
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? [quoted, text] : [quoted];
}
