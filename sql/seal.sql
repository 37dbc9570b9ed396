-- Revokes all privileges of roles other than the owner, whether they come from default privileges
-- (pg_default_acl), from PUBLIC, or from manual grants.
do $$
declare
  statement text;
begin
  for statement in
    with object as (
      select 'schema' as kind, quote_ident(n.nspname) as name, n.nspowner as owner, n.nspacl as acl
      from pg_namespace as n where n.nspname = :'schema'
      union all
      select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass::text,
        c.relowner, held.acl
      from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace and n.nspname = :'schema'
      cross join lateral (
        select c.relacl
        union all
        select a.attacl from pg_attribute as a where a.attrelid = c.oid and a.attacl is not null
      ) as held (acl)
      where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      union all
      select 'type', t.oid::regtype::text, t.typowner, t.typacl
      from pg_type as t join pg_namespace as n on n.oid = t.typnamespace and n.nspname = :'schema'
      union all
      select 'routine', p.oid::regprocedure::text, p.proowner,
        coalesce(p.proacl, acldefault('f', p.proowner))
      from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
      where n.nspname = :'schema' or p.oid in (
        to_regprocedure(format('%I.smart_notify(text, jsonb, text, uuid)', :'api_schema')),
        to_regprocedure(
          format('%I.smart_notify_many(text[], jsonb[], text[], uuid[])', :'api_schema')),
        to_regprocedure(format('%I.notify_data_change()', :'api_schema')))
    )
    select distinct format('revoke all on %s %s from %s cascade', kind, name,
      case grantee when 0 then 'public' else grantee::regrole::text end)
    from object cross join lateral aclexplode(acl)
    where grantee <> owner and pg_has_role(owner, 'usage')
  loop
    execute statement;
  end loop;
end;
$$;
