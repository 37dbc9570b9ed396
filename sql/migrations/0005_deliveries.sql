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
notification     of a dead letter a copy of its row in the log, so that retention never destroys it
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
  primary key (consumer_id, notification_id)
);
create index delivery_due on :"schema".delivery (consumer_id, next_attempt_at) where state = 'retry';
create index delivery_key on :"schema".delivery (consumer_id, key, notification_id)
  where state <> 'dead' and key is not null;
create index delivery_dead on :"schema".delivery (consumer_id, last_failed_at) where state = 'dead';

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
