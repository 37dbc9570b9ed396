-- What is not plain success, and who works on what: failures of notifications, the daemons that are
-- alive, and the parts of a shared consumer's work.

/*
One notification that a consumer has not handled at its first call. What succeeds has no row.

state            retry: it is due at next_attempt_at
                 blocked: an earlier notification of its key fails, and it waits for that
                 dead: it was given up, and stays until somebody retries or discards it
attempts         how often the handler was called, those calls included that ended the process, but
                 for those that asked for RetryAfter
is_suspect       a process may have died over it, or is calling it carefully: the next call is made alone,
                 and is recorded before it is made
replayed_at      when "pgwatch replay" asked for it to be handed out again; null: it did not
first_, last_    when it failed, and the error: name, message, code, stack
notification,    of a dead letter a copy of its row in the log, so that retention never destroys it: its contents
payload,         in columns of their own, as in the log, because together they may be more than one value can
old_row, new_row hold; the rest of it in notification
*/
create table :"schema".delivery (
  consumer_id text not null,
  notification_id bigint not null,
  state text not null check (state in ('retry', 'blocked', 'dead')),
  key text,
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  is_suspect boolean not null default false,
  replayed_at timestamptz,
  first_failed_at timestamptz,
  last_failed_at timestamptz,
  first_error jsonb,
  last_error jsonb,
  notification jsonb,
  payload jsonb,
  old_row jsonb,
  new_row jsonb,
  primary key (consumer_id, notification_id)
);
create index delivery_due on :"schema".delivery (consumer_id, next_attempt_at) where state = 'retry';
-- By a hash: an index entry holds 2,704 bytes at most, and a key may be longer.
create index delivery_key on :"schema".delivery (consumer_id, hashtextextended(key, 0), notification_id)
  where state <> 'dead' and key is not null;
create index delivery_dead on :"schema".delivery (consumer_id, last_failed_at) where state = 'dead';

/* What a delivery keeps of a row of the log, but for its key and its contents. Inlined. */
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

has_lock      it holds a session advisory lock, so that the server tells at once when it dies;
              behind a transaction pooler it cannot, and alive_until alone counts
consumer_ids  what it wants to run, each alone
shared_ids    what it works on together with others
alive_until   moved on by every heartbeat; past it the process counts as dead, whatever it holds
activity      what it does, for people who look: written with every heartbeat
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
  activity jsonb not null default '{}'
);

/* The first key of the advisory locks that daemons hold while they are alive. */
create function :"schema".daemon_class()
returns integer
language sql
immutable
parallel safe
return hashtext('pgwatch daemon ' || :'schema');
revoke all on function :"schema".daemon_class() from public;

-- The daemons that are alive, by the server's clock and its locks.
create view :"schema".live_daemon as
select d.daemon_id, d.host, d.pid, d.started_at, d.has_lock, d.consumer_ids, d.shared_ids, d.alive_until,
  d.activity
from :"schema".daemon as d
where d.alive_until > clock_timestamp()
  and (not d.has_lock or exists (
    select from pg_locks as l
    where l.locktype = 'advisory' and l.objsubid = 2
      and l.database = (select b.oid from pg_database as b where b.datname = current_database())
      and l.classid = (:"schema".daemon_class()::bigint & 4294967295)::oid
      and l.objid = (hashtext(d.daemon_id::text)::bigint & 4294967295)::oid));

/*
A part of a shared consumer's work: notifications that its position has passed and that are not
settled yet.

slot              which keys they are of (a hash); of one slot the lowest lease goes first and the
                  others wait, so that no key is worked on by two; null: keys have no order
notification_ids  in order
kind              page: they come from the log
                  retry: they failed before, and have a delivery
                  orphan: a process died over them; they are called one by one, each attempt recorded
owner, epoch      the daemon that works on it, null: nobody; raised whenever it changes hands
*/
create table :"schema".lease (
  lease_id bigint generated always as identity primary key,
  consumer_id text not null,
  slot integer,
  notification_ids bigint[] not null,
  kind text not null check (kind in ('page', 'retry', 'orphan')),
  owner uuid,
  epoch integer not null default 0
) with (fillfactor = 70);
create index lease_slot on :"schema".lease (consumer_id, slot, lease_id);

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
How much of the log consumers have not settled: of their channels what lies above their positions,
what committed late, and what is leased. Deliveries are not counted: they have rows of their own.

Looks at 100,000 rows of the log for each consumer, whatever the channel, and estimates by the ids
what lies above those. With the rights of the owner, because it tells numbers only: who may read has no
table of the log.
Parameters: consumer_ids: null for all.
Returns: how many; false where that is an estimate; when the oldest of those it has seen was written.
Tables written: none.
*/
with progress as (
  select p.*, greatest(p.done_id, coalesce(p.window_id, 0)) as reached_id, rebased_id
  from :"schema".consumer_progress as p, :"schema".log_origin
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
  /* As in the statement that reads a page, of both snapshots; what is settled is left out at last. */
  select count(*) as scanned, count(*) filter (where is_unread) as count,
    min(created_at) filter (where is_unread) as oldest_at
  from (
    select found.created_at, found.channel = any(progress.channels)
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
      /* Where no bound is known yet, everything newer would have to be looked at. */
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
    select log.id, log.created_at, log.channel = any(progress.channels) as is_wanted
    from :"schema".notification_log as log
    where log.id > progress.reached_id
    order by log.id limit 100000
  ) as above
) as newer
order by progress.consumer_id
$$;
revoke all on function :"schema".consumer_lag(text[]) from public;
