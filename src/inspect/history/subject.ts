import type { ClientBase } from 'pg';
import { argumentsOf, readCaptures } from '../../capture/existing.ts';
import { type TableName, tableText } from '../../capture/table-name.ts';
import type { Names } from '../../database/names.ts';
import { settingsSql, withTransaction } from '../../database/transaction.ts';
import { PgwatchError } from '../../errors.ts';
import { idTexts } from './row-id.ts';

/** A column as the table has it now. */
export type SubjectColumn = {
  name: string;
  /** As format_type() writes it, with its schema. */
  type: string;
  /** Of the type, as in pg_type: values of some can be compared as they are. */
  category: string;
  isJson: boolean;
  isGenerated: boolean;
  isIdentityAlways: boolean;
};

/** A table that is there; for a partition the whole that it is a part of. */
export type SubjectTable = {
  schema: string;
  name: string;
  primaryKey: string[];
  columns: SubjectColumn[];
  /** The columns that its capture makes the key of. */
  captureKey: string[];
  /** What its capture leaves out. */
  omissions: string[];
};

/** Whose history is asked for. */
export type Subject = {
  /** Null: not known, since the table is gone. */
  schema: string | null;
  name: string;
  /** Null where it is gone, renamed, or was never there. */
  table: SubjectTable | null;
  /** The columns of the key, where they were named. */
  keyColumns: string[] | null;
  /** What each part of the key may look like in the log, as texts of JSON. */
  keyValues: string[][];
  /** As people write it: public.users 42. */
  text: string;
};

/**
 * Finds out what a table and an id on the command line mean.
 * @param schemas where to look for a table without one
 * @throws PgwatchError table_unsuitable, usage
 */
export async function findSubject(
  client: ClientBase,
  names: Names,
  asked: { table: TableName; id: string; schemas: readonly string[] },
): Promise<Subject> {
  const { table: wanted, schemas } = asked;
  const table = await readTable(client, names, wanted, schemas);
  if (table && table.primaryKey.length === 0) {
    throw new PgwatchError(
      'table_unsuitable',
      `${tableText(table)} has no primary key, by which its rows could be told apart. See all its changes with "pgwatch tail --table ${tableText(table)} --from start".`,
    );
  }
  const { columns, texts } = idTexts(asked.id, table?.primaryKey ?? null);
  const keyValues: string[][] = [];
  for (const [index, text] of texts.entries()) {
    const name = columns?.[index] ?? table?.primaryKey[index];
    const type = table?.columns.find((column) => column.name === name)?.type;
    keyValues.push([...(await canonical(client, text, type)), ...plain(text)]);
  }
  const { schema, name } = table ?? wanted;
  const tableName = schema === null ? name : tableText({ schema, name });
  return { schema, name, table, keyColumns: columns, keyValues, text: `${tableName} ${asked.id}` };
}

async function readTable(
  client: ClientBase,
  names: Names,
  { schema, name }: TableName,
  schemas: readonly string[],
): Promise<SubjectTable | null> {
  const { rows } = await client.query<{ oid: number } & SubjectTable>(TABLE_SQL, [
    name,
    schema === null ? schemas : [schema],
  ]);
  const [found] = rows;
  if (!found) return null;
  const { oid, ...table } = found;
  const [capture] = await readCaptures(client, names, [oid]);
  const { payload, exclude, columns, when, key } = argumentsOf(capture?.triggers[0]);
  const missing = ['insert', 'update', 'delete', 'truncate'].filter(
    (each) => capture && !capture.triggers.some(({ operations }) => `${operations}`.includes(each)),
  );
  const omissions = [
    ...(capture ? [] : ['it is not captured now']),
    ...(missing.length > 0 ? [`no ${missing.join(', no ')}`] : []),
    ...(payload === 'keys' ? ['the keys of rows only'] : []),
    ...(exclude?.length ? [`without ${exclude.join(', ')}`] : []),
    ...(columns?.length ? [`updates only where ${columns.join(', ')} changed`] : []),
    ...(when ? [`only when ${when}`] : []),
  ];
  return { ...table, captureKey: [...(key ?? [])], omissions };
}

/** The value as the log has it, by way of the column's type. */
async function canonical(
  client: ClientBase,
  text: string,
  type: string | undefined,
): Promise<string[]> {
  if (type === undefined) return [];
  return withTransaction(
    client,
    async () => {
      await client.query(settingsSql(LOG_SETTINGS, 'transaction'));
      const { rows } = await client.query<{ value: string }>(
        `select to_jsonb($1::text::${type})::text as value`,
        [text],
      );
      return [rows[0]?.value ?? 'null'];
    },
    'begin read only',
  ).catch((thrown: unknown) => {
    throw new PgwatchError('usage', `"${text}" is no ${type}, of which type the key is.`, {
      cause: thrown,
    });
  });
}

/** What the log may have where the key was, or is, of another type: a text, or a number. */
function plain(text: string): string[] {
  const quoted = JSON.stringify(text);
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? [quoted, text] : [quoted];
}

/** As notify_data_change() writes values. */
export const LOG_SETTINGS = {
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
};

/** Parameters: 1 the name, 2 schemas, the first of which counts. A partition goes by the whole. */
const TABLE_SQL = `
select c.oid::int8::float8 as oid, n.nspname as schema, c.relname as name,
  array(
    select a.attname::text
    from pg_catalog.pg_index as i
    cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = c.oid and i.indisprimary order by k.position) as "primaryKey",
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'category', case when t.typname in ('uuid', 'bytea') then 'S' else t.typcategory::text end,
      'isJson', coalesce(nullif(t.typbasetype, 0), t.oid)
        in ('json'::pg_catalog.regtype, 'jsonb'::pg_catalog.regtype),
      'isGenerated', a.attgenerated <> '', 'isIdentityAlways', a.attidentity = 'a'
    ) order by a.attnum), '[]')
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_type as t on t.oid = a.atttypid
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from pg_catalog.pg_class as named
join pg_catalog.pg_namespace as place on place.oid = named.relnamespace
join pg_catalog.pg_class as c on c.oid = coalesce(pg_catalog.pg_partition_root(named.oid), named.oid)
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where named.relname = $1 and place.nspname = any($2::text[]) and named.relkind in ('r', 'p')
order by pg_catalog.array_position($2::text[], place.nspname::text) limit 1`;
