import type { ClientBase } from 'pg';
import { type Names, qualified } from '../database/names.ts';
import { SQLSTATE } from '../database/sqlstate.ts';
import { errorCodeOf, PgwatchError } from '../errors.ts';
import { readTables, type Table } from './table.ts';
import { quotedTable, tableText } from './table-name.ts';

/** A column of the key, and the operators of the index that orders it. */
export type KeyColumn = {
  name: string;
  /** From format_type(); for a domain the base type, so that its checks do not run. */
  type: string;
  schema: string;
  less: string;
  lessOrEqual: string;
  greater: string;
};

/** How to read the rows of a table without running code of other roles. */
export type SnapshotSource = {
  /** The table as it is now, until the transaction ends. */
  table: Table;
  keys: KeyColumn[];
  /** The JSON of a row t; null if to_jsonb() runs no cast of other roles: see row_sql(). */
  rowSql: string | null;
};

/**
 * Locks a table so that its definition cannot change, and finds out how to read it. Call it in a
 * transaction. The table may have changed since it was found. Reading it also runs functions that
 * its owner chose, at least when the statement is planned, with the privileges of the reader.
 * @throws PgwatchError table_unsuitable if such a function belongs to a role that cannot act as
 *   this role; permission_denied if row level security hides rows from this role
 */
export async function openSource(
  client: ClientBase,
  names: Names,
  found: Table,
): Promise<SnapshotSource> {
  const { schema } = names;
  const name = quotedTable(found);
  const only = found.kind === 'inherited' ? 'only ' : '';
  await client.query(`lock table ${only}${name} in access share mode`).catch((thrown: unknown) => {
    const code = errorCodeOf(thrown);
    const isGone = code === SQLSTATE.undefinedTable || code === SQLSTATE.undefinedSchema;
    throw isGone ? replaced(found) : thrown;
  });
  const { rows } = await client.query<Trust>(
    `select c.oid = $1::oid and c.relkind in ('r', 'p') as "isSame",
       row_security_active(c.oid) as "isFiltered", coalesce((
       select bool_and(${qualified(schema, 'owners_are_trusted')}(part.oid))
       from ${PARTS}), false) as "isTrusted"
     from pg_class as c where c.oid = to_regclass($2)`,
    [found.oid, name],
  );
  const table = (await readTables(client, names, [found.oid])).get(found.oid);
  if (!rows[0]?.isSame || !table) throw replaced(found);
  requireKey(table);
  if (rows[0].isFiltered) {
    throw new PgwatchError(
      'permission_denied',
      `Row level security hides rows of ${tableText(table)} from this role, but a snapshot` +
        ' publishes all rows. Run it as a superuser or a role with BYPASSRLS, or let the owner' +
        ` see all rows: alter table ${name} no force row level security.`,
    );
  }
  if (!rows[0].isTrusted) await lockDefinition(client, `${only}${name}`);
  await refuseForeignCode(client, table);
  const keys = await readKeys(client, table);
  const converted = await client.query<Pick<SnapshotSource, 'rowSql'>>(
    `select ${qualified(schema, 'row_sql')}($1, current_user) as "rowSql"`,
    [table.oid],
  );
  return { table, keys, rowSql: converted.rows[0]?.rowSql ?? null };
}

/** @throws PgwatchError table_unsuitable if the table has no primary key */
export function requireKey(table: Table): void {
  if (table.primaryKey.length > 0) return;
  throw new PgwatchError(
    'table_unsuitable',
    `${tableText(table)} has no primary key: a snapshot could neither identify its rows nor` +
      ' resume after an interruption. Add one.',
  );
}

function replaced(table: Table): PgwatchError {
  return new PgwatchError(
    'table_unsuitable',
    `${tableText(table)} has been renamed, moved, dropped or replaced since this began.` +
      ' Run it again.',
  );
}

type Trust = { isSame: boolean; isFiltered: boolean; isTrusted: boolean };

/** Takes a lock under which nothing can be added to the table, but all reads and writes can run. */
async function lockDefinition(client: ClientBase, name: string): Promise<void> {
  await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
  await client.query(`lock table ${name} in share update exclusive mode`);
  await client.query(`set local lock_timeout = '${ROW_LOCK_TIMEOUT}'`);
}

/** Also for a table of a trusted owner: it may have had another one before. */
async function refuseForeignCode(client: ClientBase, table: Table): Promise<void> {
  const { rows } = await client.query<{ code: string; place: string; owner: string }>(CODE_SQL, [
    table.oid,
  ]);
  const [found] = rows;
  if (!found) return;
  throw new PgwatchError(
    'table_unsuitable',
    `Reading ${tableText(table)} would run ${found.code} of ${found.owner} with your privileges:` +
      ` ${found.place} uses it. Let a superuser own it,` +
      ` or run the snapshot as a role that ${found.owner} is a member of.`,
  );
}

async function readKeys(client: ClientBase, table: Table): Promise<KeyColumn[]> {
  const { rows } = await client.query<KeyColumn & { isSafe: boolean }>(KEYS_SQL, [
    table.oid,
    table.primaryKey,
  ]);
  const unsafe = table.primaryKey.find(
    (name) => !rows.some((key) => key.name === name && key.isSafe),
  );
  if (unsafe === undefined) return rows;
  const type = table.columns.find(({ name }) => name === unsafe)?.type;
  throw new PgwatchError(
    'table_unsuitable',
    `The key ${JSON.stringify(unsafe)} of ${tableText(table)} has the type ${type}, for which` +
      ' another role has created operators or implicit casts: their functions would run with your' +
      ' privileges. Let a superuser own the type and its operators, or run the snapshot as a role' +
      ' that their owner is a member of.',
  );
}

/** The tables that are read. Parameter 1: the oid. */
const PARTS = `(
  select relid::oid as oid from pg_partition_tree($1::oid) union select $1::oid) as part`;

const isForeign = (owner: string) => `not pg_has_role(${owner}, current_user, 'usage')`;

/**
 * Functions in indexes, statistics and partition keys. The planner runs those with constant
 * arguments.
 */
const CODE_SQL = `
select f.oid::regprocedure::text as code, pg_get_userbyid(f.proowner) as owner,
  pg_describe_object(d.classid, d.objid, 0) as place
from ${PARTS}
cross join lateral (
  select 'pg_class'::regclass, part.oid
  union all select 'pg_class'::regclass, i.indexrelid from pg_index as i where i.indrelid = part.oid
  union all select 'pg_statistic_ext'::regclass, s.oid
    from pg_statistic_ext as s where s.stxrelid = part.oid
) as place (classid, objid)
join pg_depend as d on d.classid = place.classid and d.objid = place.objid
left join pg_operator as o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
join pg_proc as f
  on f.oid = case when d.refclassid = 'pg_proc'::regclass then d.refobjid else o.oprcode end
where ${isForeign('f.proowner')}
order by 1 limit 1`;

const BASE_SQL = `
    with recursive base (oid) as (
      select a.atttypid
      union all
      select d.typbasetype from base join pg_type as d on d.oid = base.oid where d.typtype = 'd'
    )
    select t.* from base join pg_type as t on t.oid = base.oid where t.typtype <> 'd'`;

/**
 * Parameters: 1 the oid, 2 the columns. An implicit cast of an enum makes its operators ambiguous.
 * 403 is btree; 16384 is the first oid that is not PostgreSQL's own. If the index of the primary
 * key is of another kind, the default order of the type is used.
 */
const KEYS_SQL = `
select a.attname as name, format_type(base.oid, -1) as type, place.nspname as schema,
  less.oprname as less, "lessOrEqual".oprname as "lessOrEqual", greater.oprname as greater,
  class.oid < 16384 and (base.oid < 16384 or base.typtype = 'e' and not exists (
    select from pg_cast as c where c.castsource = base.oid and c.castcontext = 'i')) or not exists (
    select from (
      select base.typowner
      union all select class.opcowner
      union all select p.proowner from pg_amproc as m join pg_proc as p on p.oid = m.amproc
        where m.amprocfamily = class.opcfamily
      union all select p.proowner from pg_amop as m join pg_operator as o on o.oid = m.amopopr
        join pg_proc as p on p.oid = o.oprcode where m.amopfamily = class.opcfamily
    ) as involved (owner)
    where ${isForeign('involved.owner')}) as "isSafe"
from unnest($2::text[]) with ordinality as wanted (name, position)
join pg_attribute as a on a.attrelid = $1 and a.attname = wanted.name
cross join lateral (${BASE_SQL}) as base
cross join lateral (
  select class.* from pg_opclass as class
  where class.opcmethod = 403 and class.opcdefault and class.opcintype in (
    base.oid,
    case when base.oid = 'varchar'::regtype then 'text'::regtype end,
    case base.typtype when 'e' then 'anyenum'::regtype when 'r' then 'anyrange'::regtype
      when 'm' then 'anymultirange'::regtype when 'c' then 'record'::regtype end,
    case when base.typsubscript = 'array_subscript_handler'::regproc then 'anyarray'::regtype end)
  order by class.opcintype = base.oid desc limit 1) as class
join pg_amop as first on first.amopfamily = class.opcfamily and first.amopstrategy = 1
  and first.amoplefttype = class.opcintype and first.amoprighttype = class.opcintype
join pg_operator as less on less.oid = first.amopopr
join pg_namespace as place on place.oid = less.oprnamespace
join pg_amop as second on second.amopfamily = class.opcfamily and second.amopstrategy = 2
  and second.amoplefttype = class.opcintype and second.amoprighttype = class.opcintype
join pg_operator as "lessOrEqual" on "lessOrEqual".oid = second.amopopr
join pg_amop as fifth on fifth.amopfamily = class.opcfamily and fifth.amopstrategy = 5
  and fifth.amoplefttype = class.opcintype and fifth.amoprighttype = class.opcintype
join pg_operator as greater on greater.oid = fifth.amopopr
order by wanted.position`;

/** This lock blocks no reads or writes, and autovacuum is cancelled for it. */
const LOCK_TIMEOUT = '3s';
/** Short, because other sessions wait for the rows already locked. */
export const ROW_LOCK_TIMEOUT = '500ms';
