import pg, { type ClientBase } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { parseJson, shownJson, TOO_DEEP } from '../../json.ts';
import { printable } from '../../reporter.ts';
import type { SubjectColumn, SubjectTable } from './subject-table.ts';
import type { RowImage } from './versions.ts';

/**
 * Turns columns of a row, given as JSON, into a table of one row, each with its own type.
 * @throws PgwatchError undo_impossible if the JSON does not say what the value was
 */
export async function recordSql(
  client: ClientBase,
  { alias, row, columns }: { alias: string; row: string; columns: readonly SubjectColumn[] },
): Promise<string> {
  const lost = columns.find((column) => isLost(column, (parseJson(row) as RowImage)[column.name]));
  if (lost) {
    throw new PgwatchError(
      'undo_impossible',
      `It cannot be undone: the JSON of ${lost.name} (${lost.type}) in the log ` +
        'does not say what its value was.',
    );
  }
  // PostgreSQL extracts the columns, so no number loses digits.
  const { rows } = await client.query<{ json: string }>(
    `select coalesce(jsonb_object_agg(part.key, part.value), '{}')::text as json
     from jsonb_each($1::jsonb) as part where part.key = any($2::text[])`,
    [row, columns.map(({ name }) => name)],
  );
  const types = columns.map(({ name, type }) => `${quoted(name)} ${requoted(type)}`);
  const json = pg.escapeLiteral(printable(rows[0]?.json ?? '{}')).trimStart();
  return `jsonb_to_record(${json}) as ${alias} (${types.join(', ')})`;
}

/** True if a value cannot be read back from its JSON. See row_data() for what replaces json. */
function isLost({ isOneWay, isReplaced }: SubjectColumn, value: unknown): boolean {
  if (value === null || value === undefined) return false;
  if (isOneWay || !isReplaced) return isOneWay;
  const text = shownJson(value);
  return text.includes('\ufffd') || text.includes(TOO_DEEP) || /^"(\[|\{|-?[\d.]+e)/i.test(text);
}

/** Conditions that hold if the row t is still as the change left it. */
export function unchangedSql(
  { primaryKey }: SubjectTable,
  columns: readonly SubjectColumn[],
): string[] {
  return columns
    .filter(({ name, isGenerated }) => !primaryKey.includes(name) && !isGenerated)
    .map((column) => `${valueSql('t', column)} is not distinct from ${valueSql('found', column)}`);
}

/** The columns that are both in the row and in the table. */
export function columnsOf(table: SubjectTable, row: string): SubjectColumn[] {
  const names = Object.keys(parseJson(row) as RowImage);
  return table.columns.filter(({ name }) => names.includes(name));
}

/** The columns that only the table has, and those that only the row has, in a sentence each. */
export function omitted({ columns }: SubjectTable, row: string): string[] {
  const names = Object.keys(parseJson(row) as RowImage);
  const missing = columns.filter(({ name, isGenerated }) => !isGenerated && !names.includes(name));
  const gone = names.filter((name) => !columns.some((column) => column.name === name));
  return [
    ...(missing.length > 0
      ? [`The notification does not have: ${missing.map(({ name }) => name).join(', ')}.`]
      : []),
    ...(gone.length > 0 ? [`The table no longer has: ${gone.join(', ')}.`] : []),
  ];
}

export function tableSql({ schema, name }: SubjectTable): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/** A name as SQL writes it; with its code points if it would steer a terminal. */
export function quoted(name: string): string {
  if (!/\s/.test(name.replaceAll(' ', '')) && printable(name) === name) {
    return pg.escapeIdentifier(name);
  }
  const codes = [...name].map((each) =>
    /[\p{L}\p{N}_ ]/u.test(each)
      ? each
      : `\\+${each.codePointAt(0)?.toString(16).padStart(6, '0')}`,
  );
  return `U&"${codes.join('')}"`;
}

/** A type as format_type() writes it, with its names as quoted() writes them. */
function requoted(type: string): string {
  return type.replaceAll(/"((?:[^"]|"")*)"/g, (_, name: string) =>
    quoted(name.replaceAll('""', '"')),
  );
}

/** Not all types can be compared, but their JSON can. A JSON null comes back as an SQL null. */
function valueSql(alias: string, { name, category, isJson }: SubjectColumn): string {
  const column = `${alias}.${quoted(name)}`;
  if (isJson) return `nullif(to_jsonb(${column}), 'null')`;
  return COMPARABLE.includes(category) ? column : `to_jsonb(${column})`;
}

/** As in pg_type: booleans, dates, enums, networks, numbers, strings, intervals. */
const COMPARABLE = 'BDEINST';
