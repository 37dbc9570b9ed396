-- Capture: notify_data_change() turns row changes into notifications.

create function :"schema".relation_description(relation_id oid)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* What notification_log.relation holds of a table: schema, table, then its primary key's columns. */
select jsonb_build_array(n.nspname, c.relname) || coalesce((
  select jsonb_agg(a.attname order by k.position)
  from pg_index as i
  cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
  join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indrelid = c.oid and i.indisprimary), '[]')
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = relation_id
$$;
revoke all on function :"schema".relation_description(oid) from public;

create function :"schema".row_key(relation jsonb, row_data jsonb)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
/*
The key of a captured row: schema.table:42, schema.table:[1, "a"] for a composite primary key, and
schema.table for a table without one, whose changes thereby all keep their order.
*/
select concat(relation ->> 0, '.', relation ->> 1, case jsonb_array_length(relation)
  when 2 then ''
  when 3 then ':' || (row_data ->> (relation ->> 2))
  else ':' || (
    select jsonb_agg(row_data -> column_name order by position)
    from jsonb_array_elements_text(relation) with ordinality as part (column_name, position)
    where position > 2)::text
  end)
$$;
revoke all on function :"schema".row_key(jsonb, jsonb) from public;

create function :"api_schema".notify_data_change()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Trigger function: appends each changed row to the log.

Use: create trigger NAME after insert or update or delete on TABLE
  for each row execute function notify_data_change();
and for TRUNCATE: after truncate … for each statement. Argument: the channel, default data_change.
Raises: PW001 for a bad channel, PW003 for a trigger it cannot serve (both at the first change).
Settings: pgwatch.notify: always, doorbell (default here) or off; app.user_id and app.session_id go
into the metadata.
Tables written: notification_log.
*/
declare
  writer_xid constant xid8 := pg_current_xact_id();
  channel_name constant text := coalesce(tg_argv[0], 'data_change');
  relation jsonb;
  old_data jsonb;
  new_data jsonb;
  metadata jsonb;
  notification_id bigint;
  notification_time timestamptz;
begin
  if tg_when <> 'AFTER' or (tg_level = 'STATEMENT' and tg_op <> 'TRUNCATE') then
    raise exception 'Trigger % on %.% must be AFTER … FOR EACH ROW (TRUNCATE: FOR EACH STATEMENT).',
      tg_name, tg_table_schema, tg_table_name
    using errcode = 'PW003';
  end if;
  if tg_nargs > 1 then
    raise exception 'Trigger % on %.% has % arguments: notify_data_change takes one, the channel.',
      tg_name, tg_table_schema, tg_table_name, tg_nargs
    using errcode = 'PW003';
  end if;
  if octet_length(channel_name) not between 1 and 63 then
    perform :"schema".channel_check(channel_name);
  end if;

  relation := :"schema".relation_description(tg_relid);
  if tg_op in ('UPDATE', 'DELETE') then
    old_data := to_jsonb(old);
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    new_data := to_jsonb(new);
  end if;
  metadata := nullif(jsonb_strip_nulls(jsonb_build_object(
    'user_id', nullif(current_setting('app.user_id', true), ''),
    'session_id', nullif(current_setting('app.session_id', true), ''))), '{}');

  insert into :"schema".notification_log (xid, channel, key, action, relation, old_row, new_row, metadata)
  values (
    writer_xid,
    channel_name,
    case when tg_op = 'TRUNCATE' then concat(tg_table_schema, '.', tg_table_name)
      else :"schema".row_key(relation, coalesce(new_data, old_data)) end,
    tg_op, relation, old_data, new_data, metadata)
  returning id, created_at into notification_id, notification_time;

  case current_setting('pgwatch.notify', true)
    when 'off' then null;
    when 'always' then perform :"schema".notification_announce(
      channel_name, notification_id, notification_time,
      :"schema".change_payload(tg_op, relation, old_data, new_data, metadata, writer_xid));
    else perform :"schema".doorbell_ring(channel_name);
  end case;
  return null;
end;
$$;
revoke all on function :"api_schema".notify_data_change() from public;
