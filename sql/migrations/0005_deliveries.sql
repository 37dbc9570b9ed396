-- Deliveries that need more than a first call, live daemons, and the parts of a shared consumer's
-- work.

/*
One notification that a consumer has not handled in its first call. A success has no row.

state            retry: it is due at next_attempt_at
                 blocked: it waits for an earlier notification of its key, which fails
                 dead: it is a dead letter until it is retried or discarded
attempts         how often the handler was called, including calls that ended the process, but not
                 calls that threw RetryAfter
called_attempt   the attempt for which its handler is being called, if that was recorded before it
                 returned; null: it is not being called
is_suspect       a process may have died while handling it, or is calling it carefully: the next
                 call is recorded before it is made, and made alone
is_grouped       it is suspect, but is called together with others like it. None of them has been
                 recorded: if the process dies, each is called alone
replayed_at      when "pgwatch replay" requested its delivery; null: it did not
first_, last_    when it failed, and the error: name, message, code, stack
notification,    for a dead letter, a copy of its row in the log, so that retention never destroys
payload,         it. As in the log, its contents are in columns of their own, because together they
old_row, new_row may exceed the limit of one value; the rest is in notification
filed_at         when it was filed: a row of the log that was written later is another notification
                 that received its id, after the log was restored
*/
create table :"schema".delivery (
  consumer_id text not null,
  notification_id bigint not null,
  state text not null check (state in ('retry', 'blocked', 'dead')),
  key text,
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  called_attempt integer,
  is_suspect boolean not null default false,
  is_grouped boolean not null default false,
  replayed_at timestamptz,
  first_failed_at timestamptz,
  last_failed_at timestamptz,
  first_error jsonb,
  last_error jsonb,
  notification jsonb,
  payload jsonb,
  old_row jsonb,
  new_row jsonb,
  filed_at timestamptz not null default clock_timestamp(),
  primary key (consumer_id, notification_id)
);
create index delivery_due on :"schema".delivery (consumer_id, next_attempt_at)
  where state = 'retry';
-- Hashed, because an index entry can have at most 2,704 bytes, and a key may be longer.
create index delivery_key
  on :"schema".delivery (consumer_id, hashtextextended(key, 0), notification_id)
  where state <> 'dead' and key is not null;
create index delivery_dead on :"schema".delivery (consumer_id, last_failed_at) where state = 'dead';

/*
A discarded dead letter: it was not handled, and is not delivered from the log again. The row is
deleted when a replay of it is handled, when the position is moved back before it, and some time
after it has been removed from the log.
*/
create table :"schema".discarded (
  consumer_id text not null,
  notification_id bigint not null,
  discarded_at timestamptz not null default now(),
  primary key (consumer_id, notification_id)
);

/* The copy of a log row in a delivery, without its key and its contents. Inlined. */
create function :"schema".delivery_notification(log :"schema".notification_log)
returns jsonb
language sql
stable
parallel safe
return jsonb_build_object('id', (log).id, 'xid', (log).xid, 'created_at', (log).created_at,
  'channel', (log).channel, 'action', (log).action, 'relation', (log).relation,
  'metadata', (log).metadata, 'event_id', (log).event_id);
revoke all on function :"schema".delivery_notification(:"schema".notification_log) from public;

/*
One process that runs consumers.

has_lock      it holds a session advisory lock, so its death is visible immediately; through a
              transaction pooler it cannot hold one, and only alive_until counts
consumer_ids  the consumers that it wants to run alone
shared_ids    the consumers that it runs together with other processes
channels      by consumer, the channels that its version of the consumer reads; see older_version()
alive_until   extended by every heartbeat; after that the process counts as dead, even if it still
              holds the lock
activity      what it is doing, for people; written with every heartbeat
*/
create table :"schema".daemon (
  daemon_id uuid primary key,
  host text not null,
  pid integer not null,
  started_at timestamptz not null default now(),
  has_lock boolean not null,
  consumer_ids text[] not null,
  shared_ids text[] not null,
  alive_until timestamptz not null,
  activity jsonb not null default '{}',
  channels jsonb not null default '{}'
);

/* The first key of the advisory locks that daemons hold while they are alive. */
create function :"schema".daemon_class()
returns integer
language sql
immutable
parallel safe
return hashtext('pgwatch daemon ' || :'schema');
revoke all on function :"schema".daemon_class() from public;

-- The daemons that are alive according to the server's clock and locks.
create view :"schema".live_daemon as
select d.daemon_id, d.host, d.pid, d.started_at, d.has_lock, d.consumer_ids, d.shared_ids,
  d.alive_until, d.activity, d.channels
from :"schema".daemon as d
where d.alive_until > clock_timestamp()
  and (not d.has_lock or exists (
    select from pg_locks as l
    where l.locktype = 'advisory' and l.objsubid = 2
      and l.database = (select b.oid from pg_database as b where b.datname = current_database())
      and l.classid = (:"schema".daemon_class()::bigint & 4294967295)::oid
      and l.objid = (hashtext(d.daemon_id::text)::bigint & 4294967295)::oid));

create function :"schema".older_version(of_consumer text, of_daemon uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
Whether a daemon that was started later reads other channels for a consumer: then that daemon
decides which channels are read. It counts until its last heartbeat expires, because a briefly lost
connection must not change anything.
*/
select exists (
  select from :"schema".daemon as own
  join :"schema".daemon as newer
    on (newer.started_at, newer.daemon_id) > (own.started_at, own.daemon_id)
  where own.daemon_id = of_daemon and newer.alive_until > clock_timestamp()
    and jsonb_exists(newer.channels, of_consumer)
    and not (newer.channels -> of_consumer @> (own.channels -> of_consumer)
      and newer.channels -> of_consumer <@ (own.channels -> of_consumer)))
$$;
revoke all on function :"schema".older_version(text, uuid) from public;

/*
A part of a shared consumer's work: notifications that its position has passed but that are not
settled yet.

slot              a hash of their keys; within a slot the lowest lease goes first and the others
                  wait, so two processes never handle the same key; null: keys have no order
notification_ids  in order
kind              page: they come from the log
                  retry: they failed before, and have a delivery
                  orphan: a process died while handling them; they are called one by one, and each
                  attempt is recorded
owner, epoch      the daemon that works on it, null: none; epoch is incremented with each change of
                  the owner
leased_at         when it was made: rows of the log that were written later are other notifications
                  that received the same ids, after the log was restored
*/
create table :"schema".lease (
  lease_id bigint generated always as identity primary key,
  consumer_id text not null,
  slot integer,
  notification_ids bigint[] not null,
  kind text not null check (kind in ('page', 'retry', 'orphan')),
  owner uuid,
  epoch integer not null default 0,
  leased_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index lease_slot on :"schema".lease (consumer_id, slot, lease_id) where slot is not null;
/* Partial indexes on what is searched for: while a session holds an old snapshot, dead entries
   remain and slow down searches. Leases that have an owner from the start are not in them. */
create index lease_free on :"schema".lease (consumer_id, lease_id) where owner is null;
create index lease_again on :"schema".lease (consumer_id, lease_id) where kind <> 'page';

create function :"schema".consumer_lag(consumer_ids text[] default null)
returns table (consumer_id text, unread bigint, is_exact boolean, oldest_at timestamptz)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
/*
The number of notifications in the log that consumers have not settled: those on their channels
above their positions, those that committed late, and those that are leased. Deliveries are not
counted: they have their own rows.

Reads up to 100,000 rows of the log for each consumer, regardless of the channel, and estimates the
rest from the ids. Runs with the privileges of the owner, because it only returns numbers, and
readers may not read the tables of the log.
Parameters: consumer_ids: null for all.
Returns: the number; false if it is an estimate; the time of the oldest notification found.
Tables written: none.
*/
with progress as (
  select p.*, greatest(p.done_id, coalesce(p.window_id, 0)) as reached_id, rebased_id
  from :"schema".consumer_progress as p, :"schema".origin
  where consumer_ids is null or p.consumer_id = any(consumer_ids)
),
newest as (select coalesce(max(log.id), 0) as id from :"schema".notification_log as log)
select
  progress.consumer_id,
  late.count + leased.count + newer.wanted + case when newer.scanned < 100000 then 0
    else (newest.id - newer.last_id) * newer.wanted / (newer.last_id - newer.first_id + 1) end,
  late.scanned < 100000 and newer.scanned < 100000,
  least(late.oldest_at, leased.oldest_at, newer.oldest_at)
from progress
cross join newest
cross join lateral (
  /* As in the statement that reads a page, for both snapshots; settled ones are excluded last. */
  select count(*) as scanned, count(*) filter (where is_unread) as count,
    min(created_at) filter (where is_unread) as oldest_at
  from (
    select found.created_at, :"schema".channel_is_read(
        found.channel, progress.channels, progress.channel_patterns)
      and not (found.id <= progress.done_id
        and pg_visible_in_snapshot(found.xid, progress.done_snapshot))
      and not coalesce(found.id <= progress.window_id
        and pg_visible_in_snapshot(found.xid, progress.window_snapshot), false) as is_unread
    from (
      (select log.id, log.xid, log.created_at, log.channel
        from (
          select pg_snapshot_xip(progress.done_snapshot) as xid
          union select pg_snapshot_xip(progress.window_snapshot)
        ) as running
        join :"schema".notification_log as log on log.xid = running.xid
          and log.id > progress.rebased_id and log.id <= progress.reached_id
        limit 100000)
      union
      (select log.id, log.xid, log.created_at, log.channel
        from (values
          (pg_snapshot_xmax(progress.done_snapshot), progress.done_xid),
          (pg_snapshot_xmax(progress.window_snapshot), progress.window_xid)) as newer (xmax, xid)
        join :"schema".notification_log as log on log.xid >= newer.xmax and log.xid < newer.xid
          and log.id + 0 > progress.rebased_id and log.id + 0 <= progress.reached_id
        limit 100000)
      union
      /* If there is no bound yet, everything newer would have to be read; so limit the ids. */
      (select log.id, log.xid, log.created_at, log.channel
        from :"schema".notification_log as log
        where (progress.done_xid is null
            or (progress.window_snapshot is not null and progress.window_xid is null))
          and log.id > greatest(progress.rebased_id, progress.reached_id - 1000)
          and log.id <= progress.reached_id
          and log.xid >= least(pg_snapshot_xmax(progress.done_snapshot),
            pg_snapshot_xmax(progress.window_snapshot))
        limit 100000)
    ) as found
  ) as judged
) as late
cross join lateral (
  select coalesce(sum(cardinality(l.notification_ids)), 0)::bigint as count, min((
    select log.created_at from :"schema".notification_log as log
    where log.id = l.notification_ids[1] limit 1)) as oldest_at
  from :"schema".lease as l
  where l.consumer_id = progress.consumer_id and l.kind <> 'retry'
) as leased
cross join lateral (
  select count(*) as scanned, count(*) filter (where is_wanted) as wanted,
    min(created_at) filter (where is_wanted) as oldest_at, min(id) as first_id, max(id) as last_id
  from (
    select log.id, log.created_at, :"schema".channel_is_read(
        log.channel, progress.channels, progress.channel_patterns) as is_wanted
    from :"schema".notification_log as log
    where log.id > progress.reached_id
    order by log.id limit 100000
  ) as above
) as newer
order by progress.consumer_id
$$;
revoke all on function :"schema".consumer_lag(text[]) from public;

create function :"schema".log_place()
returns table (system_id bigint, log_oid bigint)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
Where the log is. Restoring a dump into another cluster changes both values; pg_upgrade changes only
the identifier of the cluster, and keeps the xids.
Returns: the identifier of the cluster, null if it cannot be read; the oid of the log.
Tables written: none.
*/
begin
  log_oid := format('%I.notification_log', :'schema')::regclass::oid;
  begin
    system_id := (select control.system_identifier from pg_control_system() as control);
  exception
    when insufficient_privilege or undefined_function then null;
  end;
  return next;
end;
$$;
revoke all on function :"schema".log_place() from public;

insert into :"schema".log_origin (system_id, log_oid)
select place.system_id, place.log_oid from :"schema".log_place() as place;

create function :"schema".log_origin_state()
returns table (
  rebased_id bigint, next_xid xid8, log_xid xid8, is_restored boolean, is_foreign boolean,
  sequence_id bigint, used_id bigint, used_by text, misplaced_id bigint, misplaced_by text,
  twice_id bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
/*
Whether the log, the positions, deliveries and leases, and the sequence of ids belong together and
to this cluster. They do not after only some of them were restored, after a restore into another
cluster, or after the sequence was set back: new notifications then get ids that count as handled.

Reads at most 1,000,000 notifications that are newer than the most advanced position, and as many
above the least advanced one.
Returns: is_restored: another cluster wrote the log, whatever its transaction ids are; is_foreign:
is_restored, or transaction ids are from another cluster; sequence_id: the last id assigned;
used_id, used_by: the highest id in use, and where; misplaced_id, misplaced_by: the id of a
notification that was written after a position had passed that id, and the consumer of the position;
twice_id: the lowest id of two notifications, one of which readers could skip.
Tables written: none.
*/
with here as (
  select pg_snapshot_xmax(pg_current_snapshot()) as next_xid, origin.rebased_id,
    coalesce(origin.system_id <> place.system_id and origin.log_oid <> place.log_oid, false)
    /* Rows of an open transaction are visible only to itself. */
    or exists (
      select from unnest(array(select pg_snapshot_xip(pg_current_snapshot()))) as running (xid)
      join :"schema".notification_log as log on log.xid = running.xid
      where log.id > origin.rebased_id
        and running.xid is distinct from pg_current_xact_id_if_assigned()
    ) as is_restored,
    case when s.is_called then s.last_value else s.last_value - 1 end as sequence_id
  from :"schema".origin as origin, :"schema".notification_log_id_seq as s,
    :"schema".log_place() as place
),
furthest as (
  select consumer_id, done_id, done_xid from :"schema".consumer_progress
  where done_xid is not null order by done_id desc, done_xid desc limit 1
),
misplaced as (
  select min(newer.id) as id from here, furthest, lateral (
    select log.id from :"schema".notification_log as log
    where log.xid >= furthest.done_xid limit 1000000
  ) as newer
  where newer.id <= furthest.done_id and newer.id > here.rebased_id
),
twice as (
  select min(unread.id) as id from here, (
    select each.id, lag(each.id) over (order by each.id) as id_before from (
      select log.id from :"schema".notification_log as log
      where log.id > coalesce(
        (select min(greatest(p.done_id, p.window_id)) from :"schema".consumer_progress as p), 0)
      order by log.id limit 1000000
    ) as each
  ) as unread
  where unread.id = unread.id_before and unread.id > here.rebased_id
),
used as (
  select id, what from (
    select max(log.id), 'the log' from :"schema".notification_log as log
    union all
    (select greatest(p.done_id, p.window_end), 'the position of ' || p.consumer_id
      from :"schema".consumer_progress as p
      order by 1 desc limit 1)
    union all
    (select d.notification_id, 'a delivery of ' || d.consumer_id from :"schema".delivery as d
      order by 1 desc limit 1)
    union all
    (select (select max(leased) from unnest(l.notification_ids) as leased),
        'a lease of ' || l.consumer_id
      from :"schema".lease as l
      order by 1 desc nulls last limit 1)
    union all
    (select g.notification_id, 'a discarded dead letter of ' || g.consumer_id
      from :"schema".discarded as g
      order by 1 desc limit 1)
  ) as each (id, what)
  order by id desc nulls last limit 1
)
select here.rebased_id, here.next_xid,
  (select log.xid from :"schema".notification_log as log
    where log.id > here.rebased_id order by log.xid desc limit 1),
  here.is_restored,
  here.is_restored or exists (
    select from :"schema".notification_log as log
    where log.id > here.rebased_id and log.xid >= here.next_xid limit 1)
  or exists (
    select from :"schema".consumer_progress as p
    where greatest(p.done_xid, p.window_xid) >= here.next_xid
      or greatest(pg_snapshot_xmax(p.done_snapshot), pg_snapshot_xmax(p.window_snapshot))
        > here.next_xid),
  here.sequence_id, coalesce(used.id, 0), used.what,
  misplaced.id, case when misplaced.id is not null then (select consumer_id from furthest) end,
  twice.id
from here
left join used on true
left join misplaced on true
left join twice on true
$$;
revoke all on function :"schema".log_origin_state() from public;

create function :"schema".log_rebase()
returns table (kept_notifications bigint, last_id bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
set jit = off
as $$
/*
Makes the log and all positions belong together and to this cluster: after a restore into a cluster
whose xids restarted, after only some of them were restored, or after the sequence was set back.
Stored xids do not change, because event ids are derived from them; from then on rows up to
log_origin.rebased_id count as visible to all.

No notification that a consumer has not handled is skipped. Delivered again are: if a notification
had committed late and was not handled yet, all that follow it; and after a restore, those that this
cluster has written since.
Returns: the number of notifications in the log, and the highest id.
Raises: 55P03 if it does not get a lock soon, because publishers would queue after it.
Tables written: log_origin, consumer_progress, consumer_channel, published, delivery, discarded,
lease, notification_log (only ids that were assigned twice).
*/
declare
  state record;
  sequence_name constant regclass :=
    pg_get_serial_sequence(format('%I.notification_log', :'schema'), 'id');
  restored_at timestamptz;
  highest_id bigint;
  moved record;
  moved_id bigint;
  moved_event_id uuid;
begin
  lock table :"schema".notification_log in share row exclusive mode;
  lock table :"schema".consumer_progress in share row exclusive mode;
  select * into state from :"schema".log_origin_state();

  select max(log.created_at) into restored_at
  from :"schema".notification_log as log
  where log.xid >= state.next_xid and log.id > state.rebased_id;

  /* Ids of notifications that cleanup has removed are still in use elsewhere: a new notification
     that got the id of a dead letter would count as handled. */
  perform setval(sequence_name, greatest(state.used_id, state.sequence_id, 1),
    greatest(state.used_id, state.sequence_id) > 0);

  /* A sequence that was set back assigns an id twice: the later notification gets a new one. So
     does a notification that was written after another one with its id was filed or leased. In
     their order. */
  for moved in
    select later.id, later.created_at
    from (
      select log.id, log.created_at
      from (
        select log.id, min(log.created_at) as first_at
        from :"schema".notification_log as log
        group by log.id having count(*) > 1
      ) as twice
      join :"schema".notification_log as log
        on log.id = twice.id and log.created_at > twice.first_at
      union
      select log.id, log.created_at
      from :"schema".delivery as d
      join :"schema".notification_log as log on log.id = d.notification_id
      where d.filed_at < log.created_at or d.notification ->> 'xid' <> log.xid::text
      union
      select log.id, log.created_at
      from :"schema".lease as l
      cross join lateral unnest(l.notification_ids) as leased (id)
      join :"schema".notification_log as log on log.id = leased.id
      where l.leased_at < log.created_at
      union
      select log.id, log.created_at
      from :"schema".discarded as g
      join :"schema".notification_log as log on log.id = g.notification_id
      where g.discarded_at < log.created_at
    ) as later
    where later.id > state.rebased_id
    order by later.created_at, later.id
  loop
    update :"schema".notification_log as log set id = default
    where log.id = moved.id and log.created_at = moved.created_at
    returning log.id, log.event_id into moved_id, moved_event_id;
    update :"schema".published set notification_id = moved_id where event_id = moved_event_id;
  end loop;
  select coalesce(max(log.id), 0) into highest_id from :"schema".notification_log as log;

  if not state.is_foreign then
    /* The same cluster: without the bound N, rows with lower ids are found as late ones. */
    update :"schema".consumer_progress set done_xid = null, window_xid = null, epoch = epoch + 1;
  else
    update :"schema".consumer_progress as progress
    set
      done_id = coalesce((
        select min(log.id) - 1
        from :"schema".notification_log as log
        where log.created_at > restored_at
          /* Without rows of the other cluster the time of the restore is unknown, but the position
             was saved before it. */
          or log.created_at > progress.saved_at
          or not :"schema".log_is_settled(log.id, log.xid, progress, state.rebased_id)),
        highest_id),
      done_snapshot = pg_current_snapshot(),
      done_xid = null,
      window_snapshot = null,
      window_end = null,
      window_id = null,
      window_xid = null,
      began_snapshot = case when pg_snapshot_xmax(progress.began_snapshot) > state.next_xid
        then pg_current_snapshot() else progress.began_snapshot end,
      epoch = epoch + 1;
    update :"schema".consumer_channel as c
    set since_id = least(c.since_id, p.done_id),
      /* Null means no window; least() would replace it by a number. */
      since_window_id = case when c.since_window_id is not null
        then least(c.since_window_id, p.done_id) end
    from :"schema".consumer_progress as p
    where p.consumer_id = c.consumer_id and c.until_at is null;
    /* Notifications that are read from the log again must not also come from a delivery or a lease:
       that would be out of order, and twice. */
    delete from :"schema".discarded as g using :"schema".consumer_progress as p
    where p.consumer_id = g.consumer_id and g.notification_id > p.done_id;
    delete from :"schema".delivery as d
    using :"schema".consumer_progress as p, :"schema".notification_log as log
    where p.consumer_id = d.consumer_id and d.notification_id > p.done_id
      and log.id = d.notification_id
      and :"schema".channel_is_read(log.channel, p.channels, p.channel_patterns);
    update :"schema".lease as l
    set notification_ids = array(
        select id from unnest(l.notification_ids) as id where id <= p.done_id order by id),
      epoch = l.epoch + 1
    from :"schema".consumer_progress as p
    where p.consumer_id = l.consumer_id and l.kind <> 'retry'
      and p.done_id < any(l.notification_ids);
    delete from :"schema".lease where notification_ids = '{}';
    insert into :"schema".log_origin (rebased_id, system_id, log_oid)
    select highest_id, place.system_id, place.log_oid from :"schema".log_place() as place
    on conflict (is_only) do update
    set rebased_id = excluded.rebased_id, system_id = excluded.system_id,
      log_oid = excluded.log_oid;
  end if;

  /* If the log was restored without its rows, these would suppress notifications published
     again. */
  delete from :"schema".published as known
  where not exists (
    select from :"schema".notification_log as log where log.id = known.notification_id);
  delete from :"schema".discarded as known
  where not exists (
    select from :"schema".notification_log as log where log.id = known.notification_id);

  return query select count(*), highest_id from :"schema".notification_log;
end;
$$;
revoke all on function :"schema".log_rebase() from public;

create function :"schema".log_keep_ids()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Prevents "truncate ... restart identity" from reusing ids: what consumers, deliveries and leases
know about the old ids would apply to new notifications with the same ids, even in running daemons.
Also deletes publishers' event ids: an event that is published again would be taken for one that
still exists.
*/
begin
  if tg_when = 'BEFORE' then
    perform set_config('pgwatch.kept_id', (
      select case when s.is_called then s.last_value else 0 end::text
      from :"schema".notification_log_id_seq as s), true);
  else
    perform setval(format('%I.notification_log_id_seq', :'schema'), kept.id)
    from (select current_setting('pgwatch.kept_id', true)::bigint as id) as kept,
      :"schema".notification_log_id_seq as s
    where kept.id > case when s.is_called then s.last_value else 0 end;
    delete from :"schema".published;
  end if;
  return null;
end;
$$;
revoke all on function :"schema".log_keep_ids() from public;

create trigger log_keep_ids_before before truncate on :"schema".notification_log
for each statement execute function :"schema".log_keep_ids();
create trigger log_keep_ids_after after truncate on :"schema".notification_log
for each statement execute function :"schema".log_keep_ids();
