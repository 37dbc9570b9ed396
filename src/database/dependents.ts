import { PgwatchError } from '../errors.ts';
import { someOf } from '../words.ts';
import type { Queryable } from './connect.ts';
import { readExpected } from './expected.ts';
import { type Names, publicSignatures } from './names.ts';

/**
 * Refuses to drop pgwatch's schema if objects of others would be dropped with it: those in it, and
 * those that use it, such as views on its tables.
 * @throws PgwatchError migration_failed, with those objects
 */
export async function requireNoDependents(client: Queryable, names: Names): Promise<void> {
  const { tables, views, functions } = readExpected(names);
  const { rows } = await client.query(DEPENDENTS_SQL, [
    names.schema,
    [...tables, ...views].map(({ name }) => name),
    functions.map(({ name }) => name),
    publicSignatures(names),
  ]);
  if (rows.length === 0) return;
  const found = (rows as { name: string }[]).map(({ name }) => name);
  throw new PgwatchError(
    'migration_failed',
    `Uninstalling would drop these, too, because they are in schema "${names.schema}" or use ` +
      `objects of it: ${someOf(found)}. Drop, move or change them first. Nothing was changed.`,
  );
}

/**
 * Parameters: 1 the schema; the names of pgwatch's 2 tables and views and 3 functions; 4 the
 * signatures of its functions for users. What is in a schema depends on it, except for parts of
 * tables. A view depends on a table through its rule; defaults and the like belong to their table.
 */
const DEPENDENTS_SQL = `
with place as (
  select oid from pg_namespace where nspname = $1
), placed as (
  select d.classid as kind, d.objid as oid from pg_depend as d
  where d.refclassid = 'pg_namespace'::regclass and d.refobjid = (select oid from place)
    and d.deptype in ('n', 'a') and d.classid <> 'pg_default_acl'::regclass
), named as (
  select c.oid from pg_class as c
  where c.relnamespace = (select oid from place) and c.relname = any($2::text[])
), stranger as (
  select placed.kind, placed.oid from placed
  left join pg_class as c on placed.kind = 'pg_class'::regclass and c.oid = placed.oid
  left join pg_proc as p on placed.kind = 'pg_proc'::regclass and p.oid = placed.oid
  where coalesce(p.proname <> all ($3::text[]), true)
    and not coalesce(c.oid in (table named) or pg_partition_root(c.oid) in (table named)
      or exists (
        select from pg_depend as part
        where part.classid = placed.kind and part.objid = placed.oid
          and part.deptype in ('a', 'i') and part.refclassid = 'pg_class'::regclass
          and part.refobjid in (table named)), false)
), used as (
  select kind, oid from placed
  union select 'pg_class'::regclass, oid from pg_class
    where relnamespace = (select oid from place)
  union select 'pg_type'::regclass, oid from pg_type where typnamespace = (select oid from place)
), dependent as (
  select distinct d.classid, d.objid, d.objsubid,
    coalesce(rule.ev_class, def.adrelid, con.conrelid, tg.tgrelid, pol.polrelid) as table_id
  from used
  join pg_depend as d on d.refclassid = used.kind and d.refobjid = used.oid
    and d.deptype in ('n', 'a')
  left join pg_rewrite as rule on d.classid = 'pg_rewrite'::regclass and rule.oid = d.objid
  left join pg_attrdef as def on d.classid = 'pg_attrdef'::regclass and def.oid = d.objid
  left join pg_constraint as con on d.classid = 'pg_constraint'::regclass and con.oid = d.objid
  left join pg_trigger as tg on d.classid = 'pg_trigger'::regclass and tg.oid = d.objid
  left join pg_policy as pol on d.classid = 'pg_policy'::regclass and pol.oid = d.objid
  where not exists (select from used where used.kind = d.classid and used.oid = d.objid)
    -- Triggers that capture are dropped on purpose.
    and coalesce(tg.tgfoid not in (
      select to_regprocedure(signature) from unnest($4::text[]) as signature), true)
)
select pg_describe_object(kind, oid, 0) as name from stranger
union
select case
  when classid = 'pg_rewrite'::regclass then pg_describe_object('pg_class'::regclass, table_id, 0)
  else pg_describe_object(classid, objid, objsubid) end
from dependent
where not exists (select from used where used.kind = 'pg_class'::regclass and used.oid = table_id)
order by 1`;
