import { type Names, qualified } from '../database/names.ts';

// The bits of tgtype are PostgreSQL's TRIGGER_TYPE_ROW 1, BEFORE 2, INSTEAD 64 (pg_trigger.h).
const otherTriggers = (isRow: boolean) => `array(
    select t.tgname::text from pg_catalog.pg_trigger as t
    where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D'
      and t.tgfoid is distinct from pg_catalog.to_regprocedure($1)
      -- Another installation's capture changes nothing.
      and not exists (select from pg_catalog.pg_proc as f
        where f.oid = t.tgfoid and f.proname = 'notify_data_change' and f.prosecdef
          and pg_catalog.strpos(f.prosrc, '.notification_log') > 0)
      and t.tgtype::int & 66 = 0 and (t.tgtype::int & 1 = 1) = ${isRow}
    order by t.tgname)`;

/**
 * True if a subscription writes to a table c, as such or as a part of a whole: by default a
 * publication names the partitions, not the whole.
 */
export const IS_SUBSCRIBED = `exists (
    select from pg_catalog.pg_subscription_rel
    where srrelid = c.oid
      or srrelid in (select relid from pg_catalog.pg_partition_tree(c.oid))
      or srrelid in (select relid from pg_catalog.pg_partition_ancestors(c.oid)))`;

/** Reads what capture needs to know about tables; append a condition. Parameter 1: the function. */
export const tablesSql = ({ schema }: Names) => `
select c.oid::int8::float8 as oid, n.nspname as schema, c.relname as name,
  c.relkind::text as relkind, c.relpersistence::text as relpersistence,
  c.relispartition as "isPartition",
  array(
    select pg_catalog.format_type(cast_.castsource, null)
    from pg_catalog.pg_cast as cast_
    join pg_catalog.pg_proc as f on f.oid = cast_.castfunc
    join pg_catalog.pg_type as t on t.oid = cast_.castsource
    where cast_.castsource >= 16384 and cast_.casttarget = 'pg_catalog.json'::pg_catalog.regtype
      and cast_.castsource in (select ${qualified(schema, 'column_types')}(c.oid))
      and not (pg_catalog.pg_has_role(f.proowner, acting.role, 'usage')
        and pg_catalog.pg_has_role(t.typowner, acting.role, 'usage'))
    order by 1) as "foreignCasts",
  array(
    select pg_catalog.concat(fn.nspname, '.', f.relname)
    from (select c.oid as oid union select relid from pg_catalog.pg_partition_tree(c.oid)) as part
    join pg_catalog.pg_class as f on f.oid = part.oid
    join pg_catalog.pg_namespace as fn on fn.oid = f.relnamespace
    where f.relkind = 'f' order by 1) as "foreignPartitions",
  array(
    select r.rolname::text from pg_catalog.pg_roles as r
    where not pg_catalog.pg_has_role(r.oid, current_user, 'usage')
      and pg_catalog.has_table_privilege(r.oid, c.oid, 'trigger')
      and pg_catalog.has_function_privilege(
        r.oid, pg_catalog.to_regprocedure($1)::pg_catalog.oid, 'execute')
    order by 1) as forgers,
  array(
    select distinct pg_catalog.format_type(t.oid, null)
    from ${qualified(schema, 'column_types')}(c.oid) as part (type_id)
    join pg_catalog.pg_type as t on t.oid = part.type_id
    where not pg_catalog.pg_has_role(t.typowner, current_user, 'usage')
    order by 1) as "foreignTypes",
  array(
    select distinct pg_catalog.pg_get_userbyid(p.relowner)::text
    from pg_catalog.pg_partition_tree(c.oid) as part
    join pg_catalog.pg_class as p on p.oid = part.relid
    where p.relkind = 'p' and not pg_catalog.has_function_privilege(
      p.relowner, pg_catalog.to_regprocedure($1)::pg_catalog.oid, 'execute')
    order by 1) as "hinderedOwners",
  array(
    select pg_catalog.concat(un.nspname, '.', u.relname)
    from (select c.oid as oid union select relid from pg_catalog.pg_partition_tree(c.oid)) as part
    join pg_catalog.pg_class as u on u.oid = part.oid
    join pg_catalog.pg_namespace as un on un.oid = u.relnamespace
    where u.relkind = 'r' and u.relpersistence = 'u' order by 1) as unlogged,
  exists (select from pg_catalog.pg_inherits
    where c.oid in (inhrelid, inhparent)) as "hasRelatives",
  array(
    select a.attname::text
    from pg_catalog.pg_index as i
    cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = coalesce(root.oid, c.oid) and i.indisprimary
    order by k.position) as "primaryKey",
  exists (select from pg_catalog.pg_index as i
    where i.indrelid = coalesce(root.oid, c.oid) and i.indisprimary and not i.indimmediate
  ) as "isKeyDeferrable",
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'isVirtual', a.attgenerated = 'v',
      'isJson', ${qualified(schema, 'type_kind')}(a.atttypid, acting.role) = 'json',
      'writing', ${qualified(schema, 'key_writing')}(a.atttypid, a.atttypmod, a.attcollation)
    ) order by a.attnum), '[]')
    from pg_catalog.pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  case when root.oid is not null then pg_catalog.json_build_object(
    'schema', rn.nspname, 'name', root.relname) end as root,
  exists (select from pg_catalog.pg_trigger as t
    where t.tgrelid = c.oid and t.tgparentid <> 0
      and t.tgfoid = pg_catalog.to_regprocedure($1)) as "isCapturedByRoot",
  ${IS_SUBSCRIBED} as "isSubscribed",
  (
    with recursive reached (oid) as (
      select c.oid
      union
      select f.conrelid from reached
      join pg_catalog.pg_constraint as f on f.confrelid = reached.oid and f.contype = 'f'
        and (f.confupdtype in ('c', 'n', 'd') or f.confdeltype in ('c', 'n', 'd')))
    select count(*) > 0 from reached
    join pg_catalog.pg_constraint as f
      on f.confrelid = reached.oid and f.conrelid = c.oid and f.contype = 'f'
      and (f.confupdtype in ('c', 'n', 'd') or f.confdeltype in ('c', 'n', 'd'))
  ) as "refersToItself",
  ${otherTriggers(true)} as "rowTriggers",
  ${otherTriggers(false)} as "statementTriggers"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_class as root on root.oid = pg_catalog.pg_partition_root(c.oid)
left join pg_catalog.pg_namespace as rn on rn.oid = root.relnamespace
cross join (
  select coalesce((
    select pg_catalog.pg_get_userbyid(p.proowner) from pg_catalog.pg_proc as p
    where p.oid = pg_catalog.to_regprocedure($1)), current_user) as role) as acting`;
