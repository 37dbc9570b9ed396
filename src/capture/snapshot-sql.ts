import pg from 'pg';
import { type Names, qualified } from '../database/names.ts';
import type { Table } from './table.ts';
import { quotedTable } from './table-name.ts';

/** The table that holds how far snapshots are. */
export function progressTable(schema: string): string {
  return qualified(schema, 'snapshot');
}

/**
 * Finds the last key of the next rows, as texts; no row where there are none. They are found before they
 * are locked: a row whose key is changed while it is waited for would move the end of the batch along.
 * Parameters: 1 how many rows, then the key to begin after, if there is one.
 */
export function boundSql(table: Table, lastKey: readonly string[] | null): string {
  const keys = keysOf(table);
  const texts = keys.map(({ name }) => `${name}::text`).join(', ');
  return `select array[${texts}] as key from (
    select ${keys.map(({ name }) => name).join(', ')} from ${source(table)}
    ${lastKey ? `where ${rowOf(keys)} > ${valuesOf(keys, 2)}` : ''}
    order by ${keys.map(({ name }) => name).join(', ')} limit $1) as next
  order by ${keys.map(({ name }) => `${name} desc`).join(', ')} limit 1`;
}

/**
 * Locks the rows up to a key and appends them to the log.
 * Parameters: 1 the consumer's channel, 2 the metadata, 3 the relation, 4 the columns of the id, 5 of the
 * key, 6 those that are excluded, 7 the payload, then the key to end with, then the one to begin after.
 */
export function copySql({ schema }: Names, table: Table, hasLastKey: boolean): string {
  const keys = keysOf(table);
  const hasJson = table.columns.some(({ isJson }) => isJson);
  const data = hasJson ? `${qualified(schema, 'row_data')}(t.*)` : 'to_jsonb(t.*)';
  const after = hasLastKey ? `and ${rowOf(keys)} > ${valuesOf(keys, 8 + keys.length)}` : '';
  return `
with locked as materialized (
  select ${data} as data from ${source(table)} as t
  where ${rowOf(keys)} <= ${valuesOf(keys, 8)} ${after}
  order by ${keys.map(({ name }) => name).join(', ')}
  for share
), copied as (
  insert into ${qualified(schema, 'notification_log')}
    (xid, channel, metadata, action, key, relation, old_row, new_row)
  select pg_current_xact_id(), $1::text, $2::jsonb, 'SNAPSHOT', entry.*
  from locked
  cross join lateral ${qualified(schema, 'log_entry')}('INSERT', null, locked.data, ${table.oid}::oid,
    $3::jsonb, concat($3::jsonb ->> 0, '.', $3::jsonb ->> 1), $4::text[], $5::text[], $6::text[], $7::text) as entry
  returning 1
)
select count(*)::float8 as count from copied`;
}

/** Of a family each table is captured by itself. */
function source(table: Table): string {
  return `${table.kind === 'inherited' ? 'only ' : ''}${quotedTable(table)}`;
}

type Key = { name: string; type: string };

function keysOf({ primaryKey, columns }: Table): Key[] {
  return primaryKey.map((name) => ({
    name: `${pg.escapeIdentifier(name)}`,
    type: columns.find((column) => column.name === name)?.type ?? 'text',
  }));
}

function rowOf(keys: readonly Key[]): string {
  return `(${keys.map(({ name }) => name).join(', ')})`;
}

function valuesOf(keys: readonly Key[], first: number): string {
  return `(${keys.map(({ type }, index) => `$${first + index}::text::${type}`).join(', ')})`;
}
