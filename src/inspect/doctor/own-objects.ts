/**
 * Selects everything that belongs to pgwatch: kind, oid, the name for people, owner, acl, and the
 * name of a column, else ''. $1 is the schema, $2 the signatures of the functions outside it. A
 * function without an acl is open to PUBLIC.
 */
export const OWN_OBJECTS = `
  select 'schema' as kind, n.oid, 'schema ' || quote_ident(n.nspname) as name, n.nspowner as owner,
    n.nspacl as acl, '' as column_name
  from pg_namespace as n where n.nspname = $1
  union all
  select 'table', c.oid, c.oid::regclass::text, c.relowner, held.acl, held.column_name
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace and n.nspname = $1
  cross join lateral (
    select c.relacl, ''
    union all
    select a.attacl, a.attname from pg_attribute as a
    where a.attrelid = c.oid and a.attacl is not null
  ) as held (acl, column_name)
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select 'function', p.oid, p.oid::regprocedure::text, p.proowner,
    coalesce(p.proacl, acldefault('f', p.proowner)), ''
  from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
  where n.nspname = $1 or p.oid in (select to_regprocedure(s) from unnest($2::text[]) as s)
  union all
  select 'type', t.oid, t.oid::regtype::text, t.typowner, t.typacl, ''
  from pg_type as t join pg_namespace as n on n.oid = t.typnamespace and n.nspname = $1`;
