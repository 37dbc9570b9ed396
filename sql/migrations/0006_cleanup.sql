-- Cleanup: removing old notifications from the log, except those that a consumer still needs.

/*
The notifications in the log that a consumer needs:

position  a notification on its channels that its position has not settled
retry     one that is retried, or waits for a retry, if its delivery has no copy of it
lease     one that a process is working on

A transaction that makes other notifications needed (a replay, which files deliveries) also reads
them from the log. Cleanup therefore checks only after it has a lock that waits for such readers. It
reads all three in one statement: between two statements, a notification could move from one to
another unnoticed.
*/

/* The advisory lock of cleanup: one session at a time. */
create function :"schema".cleanup_key()
returns bigint
language sql
immutable
parallel safe
return hashtextextended('pgwatch cleanup ' || :'schema', 0);
revoke all on function :"schema".cleanup_key() from public;

create function :"schema".log_partitions()
returns table (
  name text, starts timestamptz, ends timestamptz, row_estimate float8, bytes bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
/*
The partitions of the log, in order of time.

Returns: starts and ends are null for the default partition; row_estimate is null if the server has
no estimate yet.
*/
select c.relname::text, bound.starts, bound.ends, nullif(c.reltuples, -1)::float8,
  pg_total_relation_size(c.oid)
from pg_inherits as i
join pg_class as c on c.oid = i.inhrelid
cross join lateral regexp_match(
  pg_get_expr(c.relpartbound, c.oid), 'FROM [(](.+)[)] TO [(](.+)[)]') as found (bounds)
cross join lateral (select
  case bounds[1] when 'MINVALUE' then '-infinity'
    else trim(both '''' from bounds[1]) end::timestamptz as starts,
  case bounds[2] when 'MAXVALUE' then 'infinity'
    else trim(both '''' from bounds[2]) end::timestamptz as ends
) as bound
where i.inhparent = format('%I.notification_log', :'schema')::regclass
order by bound.starts nulls last, c.relname
$$;
revoke all on function :"schema".log_partitions() from public;

create function :"schema".log_pins(partition_name text, up_to bigint default null)
returns table (consumer_id text, reason text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
/*
The consumers that need notifications of a partition, and why: position, retry or lease. It has to
be fast, because writers of that partition may wait meanwhile: above a position it reads at most
10,000 notifications, and if none of them is on the consumer's channels, but there are more, the
partition counts as needed.

Parameters: the partition; the highest id to check, null: all.
Returns: a row for each consumer and reason.
Tables written: none.
*/
begin
  return query execute format($query$
    with span as (
      select
        (select min(id) from %1$I.%2$I) as first_id,
        (select max(id) from %1$I.%2$I where id <= $1) as last_id
    ),
    consumer as (
      select c as progress, c.consumer_id, c.channels, c.channel_patterns, o.rebased_id,
        greatest(c.done_id, coalesce(c.window_id, 0)) as reached_id,
        array(select pg_snapshot_xip(s)
          from unnest(array[before_window, c.window_snapshot]) as s) as running,
        least(pg_snapshot_xmax(before_window), pg_snapshot_xmax(c.window_snapshot)) as newer
      from %1$I.consumer_progress as c
      cross join %1$I.origin as o
      /* Once a window has passed done_id, only its snapshot matters: the previous one may be very
         old. */
      cross join lateral (
        select case when c.window_id >= c.done_id then null
          else c.done_snapshot end as before_window) as b
    )
    select consumer.consumer_id, 'position'
    from span, consumer
    where last_id > reached_id and exists (
        select from (
          select channel from %1$I.%2$I
          where id > reached_id and id <= last_id order by id desc limit 10000
        ) as new
        having count(*) = 10000 or bool_or(
          %1$I.channel_is_read(channel, channels, channel_patterns)))
      or first_id <= reached_id and exists (
        select from %1$I.%2$I as late
        where late.xid = any(running) and late.id <= last_id
          and %1$I.channel_is_read(late.channel, channels, channel_patterns)
          and not %1$I.log_is_settled(late.id, late.xid, progress, rebased_id))
      or first_id <= reached_id and exists (
        /* id + 0: only the index on xid helps, because these are few rows among many ids. */
        select from %1$I.%2$I as newest
        where newest.xid >= newer and newest.id + 0 <= least(reached_id, last_id)
          and %1$I.channel_is_read(newest.channel, channels, channel_patterns)
          and not %1$I.log_is_settled(newest.id, newest.xid, progress, rebased_id))
    union all
    select d.consumer_id, 'retry'
    from span
    join %1$I.delivery as d
      on d.notification_id between first_id and last_id and d.notification is null
    join %1$I.consumer_progress as c on c.consumer_id = d.consumer_id
    where exists (select from %1$I.%2$I as held where held.id = d.notification_id)
    group by 1
    union all
    select l.consumer_id, 'lease'
    from span, %1$I.lease as l
    /* Notifications in a lease of kind retry have deliveries. */
    where l.kind <> 'retry' and exists (
      select from unnest(l.notification_ids) as leased (id)
      where leased.id between first_id and last_id
        and exists (select from %1$I.%2$I as held where held.id = leased.id))
    group by 1
    $query$, :'schema', partition_name)
  using coalesce(up_to, 9223372036854775807);
end;
$$;
revoke all on function :"schema".log_pins(text, bigint) from public;

create function :"schema".log_span(partition_name text, before timestamptz)
returns table (counted_in pg_snapshot, old_count bigint, last_old_id bigint, first_young_id bigint)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
/*
How much of a partition is older than a time. Reads all of it.

Returns: the snapshot of the count; the number of older notifications, and their highest id; the
lowest id of the others.
Tables written: none.
*/
begin
  return query execute format($query$
    select pg_current_snapshot(), count(*) filter (where created_at < $1),
      max(id) filter (where created_at < $1), min(id) filter (where created_at >= $1)
    from %1$I.%2$I
    $query$, :'schema', partition_name)
  using before;
end;
$$;
revoke all on function :"schema".log_span(text, timestamptz) from public;

create function :"schema".log_gaps(partition_name text, before timestamptz)
returns table (counted_in pg_snapshot, gaps jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
/*
What each consumer would miss if the notifications of a partition from before a time were removed
now. Reads all of them.

Returns: the snapshot of the count; for each consumer its consumer_id, moved_at, count, first_id,
last_id, from and until.
Tables written: none.
*/
begin
  return query execute format($query$
    select pg_current_snapshot(), coalesce((
        select jsonb_agg(jsonb_build_object('consumer_id', c.consumer_id, 'moved_at', c.moved_at,
          'count', missed.count, 'first_id', missed.first_id, 'last_id', missed.last_id,
          'from', missed.from, 'until', missed.until)
          order by c.consumer_id)
        from %1$I.consumer_progress as c
        cross join %1$I.origin as o
        cross join lateral (
          select count(*) as count, min(log.id) as first_id, max(log.id) as last_id,
            min(log.created_at) as from, max(log.created_at) as until
          from %1$I.%2$I as log
          where log.created_at < $1
            and %1$I.channel_is_read(log.channel, c.channels, c.channel_patterns)
            and not %1$I.log_is_settled(log.id, log.xid, c, o.rebased_id)
        ) as missed
      ), '[]')
    $query$, :'schema', partition_name)
  using before;
end;
$$;
revoke all on function :"schema".log_gaps(text, timestamptz) from public;

create function :"schema".log_gap_tell(gaps jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Publishes a marker for each consumer that misses notifications, on the channel that only it reads.

Parameters: the gaps from log_gaps(). Returns: nothing.
Tables written: notification_log.
*/
declare
  /* First, because a notification must not have an id before its transaction has an xid. */
  writer_xid constant xid8 := pg_current_xact_id();
  gap jsonb;
begin
  for gap in select element from jsonb_array_elements(gaps) as element loop
    continue when (gap ->> 'count')::bigint = 0;
    insert into :"schema".notification_log (xid, channel, payload, action)
    values (writer_xid, 'consumer:' || (gap ->> 'consumer_id'),
      gap - '{consumer_id,moved_at}'::text[] || jsonb_build_object('removed_at', now()), 'GAP');
    perform :"schema".doorbell_ring('consumer:' || (gap ->> 'consumer_id'));
  end loop;
end;
$$;
revoke all on function :"schema".log_gap_tell(jsonb) from public;

create function :"schema".log_keep(
  partition_name text, after_id bigint default null, up_to bigint default null,
  rows_max integer default null)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
set jit = off
as $$
/*
Copies notifications that are about to be removed, but are due for a retry or leased, into their
deliveries, from which they are delivered as usual. Leases become deliveries, and their owners lose
them. Until an owner returns its lease, now empty, the lease still blocks its slot, so two processes
never handle the same key.

Parameters: the partition; the range of ids, null: all; the maximum number of deliveries.
Returns: the number of deliveries that got a copy.
Tables written: delivery, lease.
*/
declare
  copied bigint;
begin
  execute format($query$
    update %1$I.delivery as d
    set notification = %1$I.delivery_notification(log), payload = log.payload,
      old_row = log.old_row, new_row = log.new_row
    from (
      select d.consumer_id, d.notification_id from %1$I.delivery as d
      where d.notification is null and d.notification_id > $1 and d.notification_id <= $2
        and exists (select from %1$I.%2$I as held where held.id = d.notification_id)
      limit $3
    ) as due
    join %1$I.%2$I as log on log.id = due.notification_id
    where d.consumer_id = due.consumer_id and d.notification_id = due.notification_id
    $query$, :'schema', partition_name)
  using coalesce(after_id, 0), coalesce(up_to, 9223372036854775807), rows_max;
  get diagnostics copied = row_count;
  execute format($query$
    with leased as (
      select l.lease_id, l.consumer_id, l.notification_ids, l.owner,
        l.kind = 'orphan' or l.owner not in (
          select daemon_id from %1$I.live_daemon) as is_suspect
      from %1$I.lease as l
      where l.kind <> 'retry' and exists (
        select from %1$I.%2$I as held
        where held.id = any(l.notification_ids) and held.id > $1 and held.id <= $2)
      for update
    ),
    gone as (
      delete from %1$I.lease where lease_id in (select lease_id from leased where owner is null)
    ),
    lost as (
      update %1$I.lease set epoch = epoch + 1, kind = 'retry', notification_ids = '{}'
      where lease_id in (select lease_id from leased where owner is not null)
    )
    insert into %1$I.delivery as delivery
      (consumer_id, notification_id, state, key, next_attempt_at, is_suspect, is_grouped,
        notification, payload, old_row, new_row)
    select leased.consumer_id, log.id, 'retry', log.key, clock_timestamp(),
      coalesce(is_suspect, false), coalesce(is_suspect, false),
      %1$I.delivery_notification(log), log.payload, log.old_row, log.new_row
    from leased cross join lateral unnest(notification_ids) as one (id)
    join %1$I.notification_log as log on log.id = one.id
    on conflict (consumer_id, notification_id) do update
    set is_suspect = delivery.is_suspect or excluded.is_suspect,
      is_grouped = case when delivery.is_suspect then delivery.is_grouped
        else excluded.is_grouped end,
      notification = coalesce(delivery.notification, excluded.notification),
      payload = coalesce(delivery.payload, excluded.payload),
      old_row = coalesce(delivery.old_row, excluded.old_row),
      new_row = coalesce(delivery.new_row, excluded.new_row)
    $query$, :'schema', partition_name)
  using coalesce(after_id, 0), coalesce(up_to, 9223372036854775807);
  return copied;
end;
$$;
revoke all on function :"schema".log_keep(text, bigint, bigint, integer) from public;

create function :"schema".cleanup_begin()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
/*
Begins a step of cleanup: only one session at a time, and with a new snapshot for each statement,
because the needed notifications must be read after the lock has been acquired.

Raises: 55P03 (lock not available) if another session is cleaning up, PW005 in other isolation
levels.
Tables written: none.
*/
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'Cleanup requires a READ COMMITTED transaction, not %.',
      upper(current_setting('transaction_isolation'))
    using errcode = 'PW005';
  end if;
  if not pg_try_advisory_xact_lock(:"schema".cleanup_key()) then
    raise exception 'Another session is cleaning up.' using errcode = 'lock_not_available';
  end if;
end;
$$;
revoke all on function :"schema".cleanup_begin() from public;

create function :"schema".cleanup_lock(partition_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
/*
Locks a partition until the end of the transaction: all its rows are then from transactions that
have ended, and every reader has either finished or comes after.

First against vacuum only, which PostgreSQL cancels if another session waits longer than
deadlock_timeout; then against all sessions, but only briefly, because others queue after it.
Raises: 55P03 if the lock is not available. Tables written: none.
*/
begin
  perform set_config('lock_timeout', '2s', true);
  execute format('lock table %I.%I in share update exclusive mode', :'schema', partition_name);
  perform set_config('lock_timeout', '100ms', true);
  execute format('lock table %I.%I in access exclusive mode', :'schema', partition_name);
end;
$$;
revoke all on function :"schema".cleanup_lock(text) from public;

create function :"schema".cleanup_snapshot(since jsonb)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
A session of this database whose snapshot is older than [xid, time]: it may see earlier positions,
as a dump does, and truncating would remove the notifications that belong to them. Sessions of other
roles are visible only to roles that may see all of pg_stat_activity. The time counts, too, because
while a writer's transaction is open, new snapshots start at its xid. A session with
track_activities off shows no time, and only its snapshot counts.
Returns: a description of the process, for people; null if there is none. Tables written: none.
*/
select format('process %s (%s), whose snapshot is older', pid,
  coalesce(nullif(application_name, ''), backend_type))
from pg_stat_activity
/* backend_xmin has 32 bits; its age relative to the next xid yields all 64. */
cross join (select pg_snapshot_xmax(pg_current_snapshot()) as xid) as next
where datname = current_database() and pid <> pg_backend_pid()
  and next.xid::text::bigint + age(next.xid::xid) - age(backend_xmin) < (since ->> 0)::bigint
  and coalesce(xact_start < (since ->> 1)::timestamptz, true)
order by age(backend_xmin) desc limit 1
$$;
revoke all on function :"schema".cleanup_snapshot(jsonb) from public;

create function :"schema".log_empty(
  partition_name text, before timestamptz, counted_in pg_snapshot, gaps jsonb)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
set jit = off
as $$
/*
Empties a partition whose period is over, immediately, if no consumer needs any of it.

Parameters: the partition; the time before which it must have ended; the result of log_gaps(), to
remove needed notifications, too, else null. It trusts that result, so only the owner may call it.
Returns: emptied; empty, if it had no rows; gone, if the partition does not exist (any longer);
pinned, if notifications are needed; changed, if there are new rows since the count, or a position
was moved; held, if a session has a snapshot in which notifications may still be needed. For held,
it records since when none are needed, and the next call considers only older snapshots.
Raises: 55P03 if a lock is not available, or the partition is still held; the detail says by which
process.
Tables written: notification_log, delivery, lease, log_origin.
*/
declare
  since jsonb;
  is_first boolean;
  holder text;
  is_filled boolean;
  is_changed boolean;
begin
  perform :"schema".cleanup_begin();
  if not exists (
    select from :"schema".log_partitions() as p
    where p.name = partition_name and p.ends <= least(before, now())
  ) then
    return 'gone';
  end if;
  perform :"schema".cleanup_lock(partition_name);
  execute format('select exists (select from %I.%I)', :'schema', partition_name) into is_filled;
  if not is_filled then
    return 'empty';
  end if;
  if gaps is null then
    if exists (select from :"schema".log_pins(partition_name)) then
      update :"schema".log_origin set done_since = done_since - partition_name
      where jsonb_exists(done_since, partition_name);
      return 'pinned';
    end if;
    select done_since -> partition_name into since from :"schema".log_origin;
    is_first := since is null;
    since := coalesce(since,
      jsonb_build_array(pg_snapshot_xmax(pg_current_snapshot()), clock_timestamp()));
    holder := :"schema".cleanup_snapshot(since);
    if holder is not null and is_first then
      insert into :"schema".log_origin as origin (done_since)
      values (jsonb_build_object(partition_name, since))
      on conflict (is_only) do update set done_since = origin.done_since || excluded.done_since;
      return 'held';
    elsif holder is not null then
      raise exception 'A session with an older snapshot may still need the partition.'
      using errcode = 'lock_not_available', detail = holder;
    end if;
  else
    execute format($query$
      select exists (
          select from %1$I.%2$I as log, %1$I.origin
          where log.xid = any(array(select pg_snapshot_xip($1))) and log.id > rebased_id)
        or exists (
          select from %1$I.%2$I as log, %1$I.origin
          where log.xid >= pg_snapshot_xmax($1) and log.id > rebased_id)
        or exists (
          select from %1$I.consumer_progress as c
          where not exists (
            select from jsonb_array_elements($2) as g
            where g ->> 'consumer_id' = c.consumer_id
              and (g ->> 'moved_at')::timestamptz is not distinct from c.moved_at))
      $query$, :'schema', partition_name)
    into is_changed using counted_in, gaps;
    if is_changed then
      return 'changed';
    end if;
    perform :"schema".log_keep(partition_name);
    perform :"schema".log_gap_tell(gaps);
  end if;
  execute format('truncate %I.%I', :'schema', partition_name);
  update :"schema".log_origin set done_since = done_since - partition_name
  where jsonb_exists(done_since, partition_name);
  return 'emptied';
end;
$$;
revoke all on function :"schema".log_empty(text, timestamptz, pg_snapshot, jsonb) from public;

create function :"schema".log_empty(partition_name text, before timestamptz)
returns text
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
/* For roles that run consumers: never removes needed notifications. */
select :"schema".log_empty(partition_name, before, null, null)
$$;
revoke all on function :"schema".log_empty(text, timestamptz) from public;

create function :"schema".log_drop(partition_name text, before timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
/*
Drops a partition that has been emptied. That needs a lock on the whole log: it waits for every open
transaction that has published, and all others queue after it. The wait is at most three times 50
ms, since there are three locks; usually only the first one has to wait.

Returns: dropped; gone, if the partition does not exist (any longer); filled, if it has new rows.
Raises: 55P03 if a lock is not available. Tables written: none; drops a partition of
notification_log.
*/
declare
  is_filled boolean;
begin
  perform :"schema".cleanup_begin();
  if not exists (
    select from :"schema".log_partitions() as p
    where p.name = partition_name and p.ends <= least(before, now())
  ) then
    return 'gone';
  end if;
  lock table only :"schema".notification_log in access exclusive mode;
  execute format('lock table %I.%I in access exclusive mode', :'schema', partition_name);
  execute format('select exists (select from %I.%I)', :'schema', partition_name) into is_filled;
  if is_filled then
    return 'filled';
  end if;
  execute format('drop table %I.%I', :'schema', partition_name);
  return 'dropped';
end;
$$;
revoke all on function :"schema".log_drop(text, timestamptz) from public;

create function :"schema".log_delete(
  partition_name text, before timestamptz, after_id bigint, up_to bigint, rows_max integer,
  counted_in pg_snapshot)
returns table (last_id bigint, removed bigint, pinned bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
set enable_seqscan = off
set jit = off
as $$
/*
Deletes notifications from before a time that no consumer needs: for partitions whose period is not
over, and for the default partition. One batch; it does not block writers. Daemons that settle
failures wait until it ends, because deliveries are locked so that none can be filed for a
notification that is about to be deleted.

Parameters: the partition; the time, in the past; the range of ids to check, and the maximum number;
the snapshot from log_gaps(), to delete needed notifications, too, else null. It trusts that
snapshot, so only the owner may call it.
Returns: the last id checked, null if there is none; the number deleted; the number needed.
Tables written: notification_log, delivery, lease.
*/
declare
  batch_end bigint;
begin
  perform :"schema".cleanup_begin();
  if not exists (select from :"schema".log_partitions() as p where p.name = partition_name) then
    return;
  end if;
  lock table :"schema".delivery in share mode;
  execute format($query$
    select max(id) from (
      select id from %1$I.%2$I where id > $1 and id <= $2 order by id limit $3) as batch
    $query$, :'schema', partition_name)
  into batch_end using after_id, up_to, rows_max;
  if counted_in is not null then
    perform :"schema".log_keep(partition_name, after_id, batch_end);
  end if;
  return query execute format($query$
    with batch as materialized (
      select id, created_at, xid, channel from %1$I.%2$I where id > $1 and id <= $2
    ),
    needed as materialized (
      select d.notification_id as id
      from %1$I.delivery as d join %1$I.consumer_progress as c on c.consumer_id = d.consumer_id
      where d.notification_id > $1 and d.notification_id <= $2 and d.notification is null
      union
      select leased.id
      from %1$I.lease as l cross join lateral unnest(l.notification_ids) as leased (id)
      where l.kind <> 'retry' and leased.id > $1 and leased.id <= $2
    ),
    doomed as (
      select batch.id, batch.created_at
      from batch, %1$I.origin as o
      where batch.created_at < least($3, now())
        and batch.id not in (select needed.id from needed)
        and (coalesce(
            pg_visible_in_snapshot(batch.xid, $4) or batch.id <= o.rebased_id and $4 is not null,
            false)
          or not exists (
            select from %1$I.consumer_progress as c
            where %1$I.channel_is_read(batch.channel, c.channels, c.channel_patterns)
              and not %1$I.log_is_settled(batch.id, batch.xid, c, o.rebased_id)))
    ),
    deleted as (
      delete from %1$I.%2$I as log using doomed
      where log.id = doomed.id and log.created_at = doomed.created_at
      returning 1
    )
    select $2,
      (select count(*) from deleted),
      (select count(*) from batch where created_at < least($3, now()))
        - (select count(*) from deleted)
    $query$, :'schema', partition_name)
  using after_id, batch_end, before, counted_in;
end;
$$;
revoke all on function
  :"schema".log_delete(text, timestamptz, bigint, bigint, integer, pg_snapshot) from public;

create function :"schema".log_delete(
  partition_name text, before timestamptz, after_id bigint, up_to bigint,
  rows_max integer default 2000)
returns table (last_id bigint, removed bigint, pinned bigint)
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
/* For roles that run consumers: never deletes needed notifications. */
select d.last_id, d.removed, d.pinned
from :"schema".log_delete(partition_name, before, after_id, up_to, rows_max, null) as d
$$;
revoke all on function :"schema".log_delete(text, timestamptz, bigint, bigint, integer) from public;

create function :"schema".log_default_empty(
  before timestamptz, up_to bigint, counted_in pg_snapshot)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
set enable_seqscan = off
set jit = off
as $$
/*
Empties the default partition except for recent notifications. Deleting rows does not shrink its
file, and while that is large no partitions are created, so it would keep growing. Therefore it is
truncated, and the remaining rows are inserted again, unchanged. Readers do not notice, because they
take their snapshots after they have their locks.

Parameters: the time; the id up to which everything visible in the snapshot is older than that time;
the snapshot.
Returns: emptied; pinned, if notifications are needed; large, if more than 2,000 notifications or
1 MB would remain, or an older snapshot may still need deleted rows.
Tables written: notification_log.
*/
declare
  staying_ids bigint[];
  staying_bytes bigint;
  stays :"schema".notification_log[];
begin
  perform :"schema".cleanup_begin();
  if before > now() then
    return 'large';
  end if;
  perform :"schema".cleanup_lock('notification_log_default');
  if exists (select from :"schema".log_pins('notification_log_default', up_to)) then
    return 'pinned';
  end if;
  select array_agg(id), sum(coalesce(pg_column_size(payload), 0)
    + coalesce(pg_column_size(old_row), 0) + coalesce(pg_column_size(new_row), 0))
  into staying_ids, staying_bytes
  from (
    select * from :"schema".notification_log_default as log where log.id > up_to
    union all
    select * from :"schema".notification_log_default as log
    where log.id <= up_to and log.xid = any(array(select pg_snapshot_xip(counted_in)))
    union all
    select * from :"schema".notification_log_default as log
    where log.id + 0 <= up_to and log.xid >= pg_snapshot_xmax(counted_in)
    limit 2001
  ) as young;
  if cardinality(staying_ids) > 2000 or staying_bytes > 1048576
    or :"schema".cleanup_snapshot(
      jsonb_build_array(pg_snapshot_xmax(pg_current_snapshot()), clock_timestamp())) is not null
  then
    return 'large';
  end if;
  select array_agg(cast(log as :"schema".notification_log)) into stays
  from :"schema".notification_log_default as log
  where log.id = any(staying_ids);
  truncate :"schema".notification_log_default;
  insert into :"schema".notification_log_default overriding system value
  select * from unnest(stays);
  return 'emptied';
end;
$$;
revoke all on function :"schema".log_default_empty(timestamptz, bigint, pg_snapshot) from public;

create function :"schema".published_delete(
  before timestamptz, after_id uuid, rows_max integer default 5000)
returns table (last_id uuid, removed bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
set enable_seqscan = off
set jit = off
as $$
/*
Deletes publishers' event ids from before a time, except those of notifications that are still in
the log: otherwise a consumer that needs one could get its event twice. One batch, in the order of
the primary key, since there is no index on the time. Publishing such an event again writes it
again.

Parameters: the time; the event id to continue after, null: from the first; the maximum number to
check.
Returns: the last event id checked, null if there is none; the number deleted.
Tables written: published.
*/
begin
  perform :"schema".cleanup_begin();
  return query
  with batch as materialized (
    select known.event_id, known.created_at from :"schema".published as known
    where after_id is null or known.event_id > after_id
    order by known.event_id limit rows_max
  ),
  deleted as (
    delete from :"schema".published as known using batch
    where known.event_id = batch.event_id and batch.created_at < least(before, now())
      and not exists (
        select from :"schema".notification_log as log where log.id = known.notification_id)
    returning 1
  )
  select (select batch.event_id from batch order by batch.event_id desc limit 1),
    (select count(*) from deleted);
end;
$$;
revoke all on function :"schema".published_delete(timestamptz, uuid, integer) from public;
