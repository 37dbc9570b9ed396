-- The log: one row for each notification, written by the transaction that publishes it.
-- Partitioned by time, so that retention only has to drop tables.

/*
One row for each notification; never updated.

id          assigned after the xid (see xid); order within a window
xid         the writer's top-level transaction, which is compared with snapshots
created_at  when it was written; primary key together with id, and the partition key
key         what it is about; notifications of one key keep their order; null: nothing in particular
payload     of an explicit notification; null for a captured change, whose payload is built when it
            is read, from action (INSERT, UPDATE, DELETE, TRUNCATE, SNAPSHOT), relation (a JSON
            array: schema, table, then the columns of the primary key), old_row, new_row and
            metadata (user_id, session_id; for a SNAPSHOT the channel of the capture, since the
            row's own channel is that of one consumer).
            Action GAP, on the channel of one consumer: notifications that it had not handled were
            removed; the payload says which
event_id    only if the publisher gave one; see notification_event_id()
*/
create table :"schema".notification_log (
  id bigint generated always as identity (cache 1),
  xid xid8 not null,
  created_at timestamptz not null default clock_timestamp(),
  channel text not null,
  key text,
  payload jsonb,
  action text,
  relation jsonb,
  old_row jsonb,
  new_row jsonb,
  metadata jsonb,
  event_id uuid,
  primary key (id, created_at)
) partition by range (created_at);

-- (xid, id), not (xid), to find the rows of a transaction that committed late page by page.
create index notification_log_xid on :"schema".notification_log (xid, id);

create table :"schema".notification_log_default partition of :"schema".notification_log default;

-- Where the ids and xids of an earlier cluster end: see log_rebase().
create table :"schema".log_origin (
  is_only boolean primary key default true check (is_only),
  rebased_id bigint not null default 0,
  /* For each partition [xid, time]: in snapshots taken after that, no consumer needs any of its
     rows. See log_empty(). */
  done_since jsonb not null default '{}',
  /* The cluster that wrote the log, and the oid of the log in it: see log_place(). Null:
     unknown. */
  system_id bigint,
  log_oid bigint
);

-- Always read through this view, because the row may be missing: test suites truncate all tables,
-- and a schema-only dump does not have it. Joining the table without its row would yield that no
-- consumer needs anything.
create view :"schema".origin as
select coalesce(max(log_origin.rebased_id), 0) as rebased_id,
  max(log_origin.system_id) as system_id, max(log_origin.log_oid) as log_oid
from :"schema".log_origin;

-- Event ids given by publishers, so that publishing the same event twice writes it once.
create table :"schema".published (
  event_id uuid primary key,
  notification_id bigint not null,
  digest uuid not null,
  created_at timestamptz not null default clock_timestamp()
);

create function :"schema".relation_seal(relation_id regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
/*
Revokes all privileges on a new table from roles other than its owner: default privileges may have
granted it to roles that the config does not name.

Parameters: the table. Returns: nothing. Tables written: none.
*/
declare
  grantee_id oid;
begin
  for grantee_id in
    select distinct held.grantee
    from pg_class as c cross join lateral aclexplode(c.relacl) as held
    where c.oid = relation_id and held.grantee <> c.relowner
  loop
    execute format('revoke all on table %s from %s cascade', relation_id,
      case grantee_id when 0 then 'public' else grantee_id::regrole::text end);
  end loop;
end;
$$;
revoke all on function :"schema".relation_seal(regclass) from public;

create function :"schema".log_partition_create(period text default 'day', ahead integer default 3)
returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '200ms'
as $$
/*
Creates the missing partitions for the current period and the following ones.

Parameters: period 'day' or 'hour'; ahead: the number of periods after the current one.
Returns: the names of the partitions that it created.
A partition that cannot be created now (its rows are already in the default partition, it overlaps
one of another period, or it cannot get a lock within 200 ms) is skipped: its rows go to the default
partition, and nothing is lost.
Any role that runs consumers may call it, so it does not trust the period: if that differs from the
period of the last partition, it creates none beyond the next period. A config with another period
takes effect where the existing partitions end.
No partition is created while the default partition is larger than 16 MB: attaching one reads all of
it under a lock that blocks every reader of the log.
Tables written: none; creates partitions of notification_log.
*/
declare
  starts timestamptz;
  partition_name text;
  name_format text := case period when 'day' then 'YYYYMMDD' when 'hour' then 'YYYYMMDDHH24' end;
  last_name text;
begin
  if name_format is null then
    raise exception 'The partition period must be day or hour, not %.', coalesce(period, 'null')
    using errcode = 'PW004';
  end if;
  if ahead is null or ahead not between 0 and 100 then
    raise exception 'Partitions can be created 0 to 100 periods ahead, not %.',
      coalesce(ahead::text, 'null')
    using errcode = 'PW004';
  end if;
  begin
    if pg_relation_size(format('%I.notification_log_default', :'schema')::regclass) > 16777216 then
      return;
    end if;
  exception
    when lock_not_available then
      return;
  end;
  select max(c.relname) into last_name
  from pg_inherits as i
  join pg_class as c on c.oid = i.inhrelid
  where i.inhparent = format('%I.notification_log', :'schema')::regclass
    and c.relname ~ '^notification_log_[0-9]{8}(|[0-9]{2})$'
    and c.relname >= 'notification_log_' || to_char(now(), 'YYYYMMDD');
  if length(last_name) <> length('notification_log_' || to_char(now(), name_format)) then
    ahead := least(ahead, 1);
  end if;
  for step in 0..ahead loop
    starts := date_trunc(period, now()) + step * ('1 ' || period)::interval;
    partition_name := 'notification_log_' || to_char(starts, name_format);
    continue when to_regclass(format('%I.%I', :'schema', partition_name)) is not null;
    begin
      execute format(
        'create table %1$I.%2$I '
        '(like %1$I.notification_log including defaults including constraints)',
        :'schema', partition_name);
      execute format(
        'alter table %1$I.notification_log attach partition %1$I.%2$I '
        'for values from (%3$L) to (%4$L)',
        :'schema', partition_name, starts, starts + ('1 ' || period)::interval);
      perform :"schema".relation_seal(format('%I.%I', :'schema', partition_name));
      return next partition_name;
    exception
      when check_violation or invalid_object_definition or duplicate_table then
        null;
      when lock_not_available or deadlock_detected then
        /* The next one would wait, too, and writers to the default partition would queue after
           it. */
        exit;
    end;
  end loop;
end;
$$;
revoke all on function :"schema".log_partition_create(text, integer) from public;

/*
The event id of a notification whose publisher gave none. It is derived from what identifies the
row, so it is the same at every read and costs the writer nothing. Ids and xids alone are not
enough: both are reused after an asynchronous failover or a restore.
Returns: a uuid of version 8 (RFC 9562): the md5 of 'id:xid:microseconds'.
*/
create function :"schema".notification_event_id(id bigint, xid xid8, created_at timestamptz)
returns uuid
language sql
stable
parallel safe
return overlay(overlay(
  md5(concat_ws(':', id, xid, (extract(epoch from created_at) * 1000000)::bigint))
  placing '8' from 13) placing '8' from 17)::uuid;
revoke all on function :"schema".notification_event_id(bigint, xid8, timestamptz) from public;

create function :"schema".change_payload(
  action text, relation jsonb, old_row jsonb, new_row jsonb, metadata jsonb, xid xid8)
returns jsonb
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
/*
Builds the payload of a captured change.

Parameters: the columns of notification_log with these names.
Returns: schema, table, action, id (the value of the primary key, an object if it is composite, null
if there is none), old_data, new_data, changed (the columns that an UPDATE changed), metadata.
*/
select jsonb_build_object(
  'schema', relation -> 0,
  'table', relation -> 1,
  'action', action,
  'id', case jsonb_array_length(relation)
    when 2 then null
    when 3 then coalesce(new_row, old_row) -> (relation ->> 2)
    else (
      select jsonb_object_agg(column_name, coalesce(new_row, old_row) -> column_name)
      from jsonb_array_elements_text(relation) with ordinality as part (column_name, position)
      where position > 2 and coalesce(new_row, old_row) is not null)
    end,
  'old_data', old_row,
  'new_data', new_row,
  'changed', case action when 'UPDATE' then (
      select coalesce(jsonb_agg(n.key order by n.key collate "C"), '[]')
      from jsonb_each(new_row) as n
      where n.value is distinct from old_row -> n.key)
    end,
  'metadata', jsonb_build_object(
    'user_id', metadata -> 'user_id',
    'session_id', metadata -> 'session_id',
    'transaction_id', xid::text))
$$;
revoke all on function :"schema".change_payload(text, jsonb, jsonb, jsonb, jsonb, xid8)
  from public;

create function :"schema".content_text(content jsonb, bytes_max bigint)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
The text of a jsonb, which may be too long: a number like 1e100000 is stored in a few bytes and
printed in 100,000, a control character is stored in one and printed in six.

Parameters: the value; the maximum length of its text in bytes. Returns: the text; an empty text,
which no value has, if it would be longer than that or than PostgreSQL supports. Tables written:
none.
*/
declare
  written text;
begin
  written := content::text;
  return case when octet_length(written) > bytes_max then '' else written end;
exception
  /* internal_error: the allocator refuses a text that ends just below 1 GB. */
  when program_limit_exceeded or out_of_memory or internal_error then
    return '';
end;
$$;
revoke all on function :"schema".content_text(jsonb, bigint) from public;

-- Every notification with its full payload and event id, for people who query it with SQL.
create view :"schema".notification as
select
  log.id,
  coalesce(log.event_id,
    :"schema".notification_event_id(log.id, log.xid, log.created_at)) as event_id,
  case when log.action = 'SNAPSHOT' then log.metadata ->> 'channel' else log.channel end as channel,
  log.key,
  case when log.action is null or log.action = 'GAP' then log.payload
    else :"schema".change_payload(
      log.action, log.relation, log.old_row, log.new_row, log.metadata, log.xid)
    end as payload,
  log.created_at,
  log.xid
from :"schema".notification_log as log;

select :"schema".log_partition_create();
