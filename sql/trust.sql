-- The functions run with their owner's privileges and call each other by name. So no role may be
-- able to put other objects under these names unless it can act as that owner anyway. This concerns
-- the owners of the schemas, the owners of the objects in them, and roles that may create objects
-- there.
do $$
declare
  stranger record;
begin
  with named (what, owner, keyword) as (
    select 'Schema ' || quote_ident(n.nspname), n.nspowner, 'schema ' || quote_ident(n.nspname)
    from pg_namespace as n
    where n.nspname = :'schema' or n.nspname = :'api_schema' and n.nspname <> 'public'
    union all
    select 'Relation ' || c.oid::regclass::text, c.relowner,
      case c.relkind when 'v' then 'view ' when 'm' then 'materialized view '
        when 'f' then 'foreign table ' when 'S' then 'sequence ' else 'table ' end
        || c.oid::regclass::text
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = :'schema' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'Function ' || p.oid::regprocedure::text, p.proowner,
      'routine ' || p.oid::regprocedure::text
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = :'schema' or p.oid in (
      to_regprocedure(format('%I.smart_notify(text, jsonb, text, uuid)', :'api_schema')),
      to_regprocedure(
        format('%I.smart_notify_many(text[], jsonb[], text[], uuid[])', :'api_schema')),
      to_regprocedure(format('%I.notify_data_change()', :'api_schema')))
    union all
    select 'Type ' || t.oid::regtype::text, t.typowner, 'type ' || t.oid::regtype::text
    from pg_type as t join pg_namespace as n on n.oid = t.typnamespace
    where n.nspname = :'schema' and t.typrelid = 0 and t.typcategory <> 'A'
  ), involved (what, role_id, remedy) as (
    select what, owner, format('alter %s owner to %I;', keyword, current_user) from named
    union all
    select 'The privilege to create objects in schema ' || quote_ident(n.nspname), a.grantee,
      format('revoke create on schema %I from %s;', n.nspname,
        case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end)
    from pg_namespace as n cross join lateral aclexplode(n.nspacl) as a
    where n.nspname = :'schema' and a.privilege_type = 'CREATE'
  )
  select involved.what, involved.remedy,
    case involved.role_id when 0 then 'PUBLIC'
      else 'role ' || quote_ident(pg_get_userbyid(involved.role_id)) end as who
  into stranger
  from involved
  where involved.role_id = 0 or not pg_has_role(
    case pg_get_userbyid(involved.role_id)
      when 'pg_database_owner' then
        (select d.datdba from pg_database as d where d.datname = current_database())
      else involved.role_id end, current_user, 'usage')
  limit 1;
  if found then
    raise exception using errcode = 'PW003', message = format(
      '%s belongs to %s, which cannot act as role %I but could change what runs with the '
      'privileges of that role. Run this as the owner of the schema, or run first: %s',
      stranger.what, stranger.who, current_user, stranger.remedy);
  end if;
end;
$$;
