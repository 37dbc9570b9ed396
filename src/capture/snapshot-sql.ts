import pg from 'pg';
import { type Names, qualified } from '../database/names.ts';
import type { KeyColumn, SnapshotSource } from './snapshot-source.ts';
import type { Table } from './table.ts';
import { quotedTable } from './table-name.ts';

/** The table with the progress of snapshots. */
export function progressTable(schema: string): string {
  return qualified(schema, 'snapshot');
}

/**
 * Finds the last key of the next rows, as texts; returns no row if there are none. This happens
 * before they are locked: if the key of a row changed during the wait for its lock, the end of the
 * batch would move with it. Parameters: 1 the number of rows, then the key to begin after, if any.
 */
export function boundSql(
  { table, keys }: SnapshotSource,
  lastKey: readonly string[] | null,
): string {
  const columns = keys.map((key, index) => `${keySql('t', key)} as key${index}`);
  // Uses the output function of the type; a cast could belong to any role.
  const texts = keys.map((_, index) => `format('%s', next.key${index})`);
  return `select array[${texts.join(', ')}] as key from (
    select ${columns.join(', ')} from ${source(table)} as t
    ${lastKey ? `where ${isBeyond(keys, 'greater', 2)}` : ''}
    order by ${orderOf(keys)} limit $1) as next
  order by ${keys.map((_, index) => `next.key${index} desc`).join(', ')} limit 1`;
}

/**
 * Locks the rows up to a key and appends them to the log.
 * Parameters: 1 the consumer's channel, 2 the metadata, 3 the relation, 4 the columns of the id, 5
 * those of the key, 6 the excluded columns, 7 the payload, 8 how the key is folded, then the key to
 * end with, then the key to begin after.
 */
export function snapshotCopySql(
  { schema }: Names,
  { table, keys, rowSql }: SnapshotSource,
  hasLastKey: boolean,
): string {
  const after = hasLastKey ? `and ${isBeyond(keys, 'greater', 9 + keys.length)}` : '';
  return `
with locked as materialized (
  select ${dataSql(schema, table, rowSql)} as data from ${source(table)} as t
  where ${isBeyond(keys, 'lessOrEqual', 9)} ${after}
  order by ${orderOf(keys)}
  for share
), copied as (
  insert into ${qualified(schema, 'notification_log')}
    (xid, channel, metadata, action, key, relation, old_row, new_row)
  select pg_current_xact_id(), $1::text, $2::jsonb, 'SNAPSHOT', entry.*
  from locked
  cross join lateral ${qualified(schema, 'log_entry')}(
    'INSERT', null, locked.data, ${table.oid}::oid,
    $3::jsonb, concat($3::jsonb ->> 0, '.', $3::jsonb ->> 1),
    $4::text[], $5::text[], $6::text[], $7::text, $8::jsonb) as entry
  returning 1
)
select count(*)::float8 as count from copied`;
}

/** A row as notify_data_change() records it. */
function dataSql(schema: string, table: Table, rowSql: string | null): string {
  if (rowSql !== null) return rowSql;
  const hasJson = table.columns.some(({ isJson }) => isJson);
  return hasJson ? `${qualified(schema, 'row_data')}(t.*)` : 'to_jsonb(t.*)';
}

/** Tables with parents or children are captured one by one. */
function source(table: Table): string {
  return `${table.kind === 'inherited' ? 'only ' : ''}${quotedTable(table)}`;
}

type Operator = 'less' | 'lessOrEqual' | 'greater';

/**
 * Cast to the base type of a domain: an operator created by the domain's owner would match better
 * than the right one.
 */
function keySql(alias: string, { name, type }: KeyColumn): string {
  return `${alias}.${pg.escapeIdentifier(name)}::${type}`;
}

function operatorOf(key: KeyColumn, operator: Operator): string {
  return `operator(${pg.escapeIdentifier(key.schema)}.${key[operator]})`;
}

/** Uses the default btree class of the type, so no operator is looked up by name. */
function orderOf(keys: readonly KeyColumn[]): string {
  return keys.map((key) => keySql('t', key)).join(', ');
}

/**
 * The condition that the keys are beyond the parameters. If one schema contains all operators, it
 * is a single row comparison, which an index supports. A parameter is parsed by the input function
 * of its type.
 */
function isBeyond(
  keys: readonly KeyColumn[],
  operator: 'greater' | 'lessOrEqual',
  first: number,
): string {
  const values = keys.map(({ type }, index) => `$${first + index}::${type}`);
  const isOne = new Set(keys.map((key) => operatorOf(key, operator))).size === 1;
  const [key] = keys;
  if (isOne && key) {
    const left = keys.map((each) => keySql('t', each)).join(', ');
    return keys.length === 1
      ? `${left} ${operatorOf(key, operator)} ${values[0]}`
      : `(${left}) ${operatorOf(key, operator)} (${values.join(', ')})`;
  }
  const beyond = keys.reduceRight((rest, each, index) => {
    const [left, right] = [keySql('t', each), values[index]];
    const strictly = `${left} ${operatorOf(each, 'greater')} ${right}`;
    const isLess = `${left} ${operatorOf(each, 'less')} ${right}`;
    return rest === '' ? strictly : `(${strictly} or (not ${isLess} and ${rest}))`;
  }, '');
  return operator === 'greater' ? beyond : `not ${beyond}`;
}
