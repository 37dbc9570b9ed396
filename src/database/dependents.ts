import { PgwatchError } from '../errors.ts';
import { someOf } from '../words.ts';
import type { Queryable } from './connect.ts';

/**
 * Refuses to drop a schema if other objects would be dropped with it, such as views on its tables.
 * @throws PgwatchError migration_failed, with those objects
 */
export async function requireNoDependents(client: Queryable, schema: string): Promise<void> {
  const { rows } = await client.query(DEPENDENTS_SQL, [schema]);
  if (rows.length === 0) return;
  const names = (rows as { name: string }[]).map(({ name }) => name);
  throw new PgwatchError(
    'migration_failed',
    `Uninstalling would drop these, too, because they use objects of schema "${schema}": ` +
      `${someOf(names)}. Drop or change them first. Nothing was changed.`,
  );
}

/** A view depends on a table through its rule; defaults and the like belong to their table. */
const DEPENDENTS_SQL = `
with own as (
  select 'pg_class'::regclass::oid as kind, oid from pg_class
    where relnamespace = (select oid from pg_namespace where nspname = $1)
  union all select 'pg_type'::regclass, oid from pg_type
    where typnamespace = (select oid from pg_namespace where nspname = $1)
  union all select 'pg_proc'::regclass, oid from pg_proc
    where pronamespace = (select oid from pg_namespace where nspname = $1)
), dependent as (
  select distinct d.classid, d.objid, d.objsubid,
    coalesce(rule.ev_class, def.adrelid, con.conrelid, tg.tgrelid, pol.polrelid) as table_id
  from own
  join pg_depend as d on d.refclassid = own.kind and d.refobjid = own.oid
    and d.deptype in ('n', 'a')
  left join pg_rewrite as rule on d.classid = 'pg_rewrite'::regclass and rule.oid = d.objid
  left join pg_attrdef as def on d.classid = 'pg_attrdef'::regclass and def.oid = d.objid
  left join pg_constraint as con on d.classid = 'pg_constraint'::regclass and con.oid = d.objid
  left join pg_trigger as tg on d.classid = 'pg_trigger'::regclass and tg.oid = d.objid
  left join pg_policy as pol on d.classid = 'pg_policy'::regclass and pol.oid = d.objid
  where not exists (select from own where own.kind = d.classid and own.oid = d.objid)
)
select distinct case
  when classid = 'pg_rewrite'::regclass then pg_describe_object('pg_class'::regclass, table_id, 0)
  else pg_describe_object(classid, objid, objsubid) end as name
from dependent
where not exists (select from own where own.kind = 'pg_class'::regclass and own.oid = table_id)
order by 1`;
