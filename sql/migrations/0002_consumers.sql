-- How far each consumer got. The position is a snapshot and an id, never an id alone: ids are
-- assigned before commit, so a lower id can become visible after a higher one.

/*
The LIKE patterns for those of the channels that are patterns, in which * stands for any characters,
or none.
*/
create function :"schema".channel_patterns(channels text[])
returns text[]
language sql
immutable
parallel safe
return array(
  select replace(regexp_replace(c, E'([\\\\%_])', E'\\\\\\1', 'g'), '*', '%')
  from unnest(channels) as c where strpos(c, '*') > 0);
revoke all on function :"schema".channel_patterns(text[]) from public;

/*
Whether a channel is one of those that a consumer reads, given with their patterns. No pattern
stands for the own channel of a consumer. Inlined.
*/
create function :"schema".channel_is_read(channel text, channels text[], patterns text[])
returns boolean
language sql
immutable
parallel safe
return channel = any(channels)
  or (channel collate "C" like any(patterns) and left(channel, 9) <> 'consumer:');
revoke all on function :"schema".channel_is_read(text, text[], text[]) from public;

/*
One row for each consumer.

channels                the channels and patterns that it reads, and its own, consumer:ID
channel_patterns        those that are patterns, for channel_is_read()
done_id, done_snapshot  H and S: every notification with id <= H that is visible in S is settled
done_xid                N: every xid that existed when S was taken is below it; null: no such bound
window_snapshot         T, an open window: everything visible in T with id <= window_id is settled.
window_end, window_id   window_end is the highest id visible in T. All null if no window is open
window_xid              the N of that window: the xid of the transaction that first saved it
epoch                   incremented by each new owner, to refuse writes of earlier owners
owner, owned_since      the daemon that runs the consumer now; null after a clean stop
is_shared               several daemons split its work (see lease), and none owns it
is_ordered              notifications of one key wait for each other; set by the last daemon that
                        ran it
began_id,               where and when it began, or was moved to manually. Earlier notifications,
began_snapshot,         which are visible in that snapshot with id <= began_id, may never have been
began_at                delivered to it
began_from              where the consumer's file says that it begins, to report changes of that
moved_at                when the position was last moved manually, by a seek or a skip; null: never
paused_at               since when no daemon runs it; null: it is not paused
paused_until            when the pause ends by itself; null: when it is resumed
*/
create table :"schema".consumer_progress (
  consumer_id text primary key,
  channels text[] not null,
  channel_patterns text[] not null
    generated always as (:"schema".channel_patterns(channels)) stored,
  done_id bigint not null,
  done_snapshot pg_snapshot not null,
  done_xid xid8,
  window_snapshot pg_snapshot,
  window_end bigint,
  window_id bigint check (num_nulls(window_snapshot, window_end, window_id) in (0, 3)),
  window_xid xid8,
  epoch bigint not null default 0,
  owner uuid,
  owned_since timestamptz,
  is_shared boolean not null default false,
  is_ordered boolean not null default true,
  began_id bigint not null default 0,
  began_snapshot pg_snapshot not null default '1:1:',
  began_at timestamptz not null default now(),
  began_from text,
  moved_at timestamptz,
  paused_at timestamptz,
  paused_until timestamptz check (paused_until is null or paused_at is not null),
  created_at timestamptz not null default now(),
  saved_at timestamptz not null default now()
) with (fillfactor = 50);

/*
From where to where a consumer reads a channel: one row for each time that it starts to read it.
Notifications that its position had settled by then were never delivered to it. Written by triggers,
so all changes of a consumer's channels are recorded.

since_id, since_snapshot    the position when it started, as in consumer_progress: what that had
since_window_id, _snapshot  settled is not included. Moved back with the position
until_, until_at            the position when it ended; null while it reads the channel
*/
create table :"schema".consumer_channel (
  number bigint generated always as identity primary key,
  consumer_id text not null,
  channel text not null,
  since_id bigint not null,
  since_snapshot pg_snapshot not null,
  since_window_id bigint,
  since_window_snapshot pg_snapshot
    check ((since_window_id is null) = (since_window_snapshot is null)),
  since_at timestamptz not null default now(),
  until_id bigint,
  until_snapshot pg_snapshot,
  until_window_id bigint,
  until_window_snapshot pg_snapshot
    check ((until_window_id is null) = (until_window_snapshot is null)),
  until_at timestamptz
);
create unique index consumer_channel_read on :"schema".consumer_channel (consumer_id, channel)
  where until_at is null;
create index consumer_channel_key on :"schema".consumer_channel (consumer_id, channel, since_at);

create function :"schema".consumer_channel_note()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Records from where a consumer reads its channels, after a row of consumer_progress was inserted, its
channels changed, or its position was moved back. Keeps the last 20 ended periods of each channel.
Tables written: consumer_channel.
*/
declare
  reached_id bigint := greatest(new.done_id, coalesce(new.window_id, 0));
begin
  if tg_op = 'INSERT' then
    /* Rows of a deleted consumer with the same id. */
    delete from :"schema".consumer_channel as c where c.consumer_id = new.consumer_id;
    /* Where it began, not its position: the row may come from a dump. */
    new.done_id := new.began_id;
    new.done_snapshot := new.began_snapshot;
    new.window_id := null;
    new.window_snapshot := null;
  else
    update :"schema".consumer_channel as c
    set since_id = least(c.since_id, reached_id),
      /* Null means no window; least() would replace it by a number. */
      since_window_id = case when c.since_window_id is not null
        then least(c.since_window_id, reached_id) end
    where c.consumer_id = new.consumer_id and c.until_at is null
      and greatest(c.since_id, coalesce(c.since_window_id, 0)) > reached_id;
    update :"schema".consumer_channel as c
    set until_id = new.done_id, until_snapshot = new.done_snapshot,
      until_window_id = new.window_id, until_window_snapshot = new.window_snapshot,
      until_at = now()
    where c.consumer_id = new.consumer_id and c.until_at is null
      and c.channel <> all(new.channels);
    delete from :"schema".consumer_channel as c
    where c.ctid in (
      select ranked.ctid
      from (
        select k.ctid,
          row_number() over (partition by k.channel order by k.until_at desc) as place
        from :"schema".consumer_channel as k
        where k.consumer_id = new.consumer_id and k.until_at is not null
      ) as ranked
      where place > 20);
  end if;
  insert into :"schema".consumer_channel as c
    (consumer_id, channel, since_id, since_snapshot, since_window_id, since_window_snapshot)
  select new.consumer_id, wanted.channel, new.done_id, new.done_snapshot,
    new.window_id, new.window_snapshot
  from (select distinct unnest(new.channels) as channel) as wanted
  where not exists (
    select from :"schema".consumer_channel as k
    where k.consumer_id = new.consumer_id and k.channel = wanted.channel and k.until_at is null);
  return null;
end;
$$;
revoke all on function :"schema".consumer_channel_note() from public;

create trigger consumer_channel_first
after insert on :"schema".consumer_progress
for each row execute function :"schema".consumer_channel_note();

create trigger consumer_channel_change
after update of channels, began_id on :"schema".consumer_progress
for each row when (old.channels is distinct from new.channels
  or greatest(new.done_id, coalesce(new.window_id, 0))
    < greatest(old.done_id, coalesce(old.window_id, 0)))
execute function :"schema".consumer_channel_note();

/*
Whether a position has settled a notification: it is visible in one of its snapshots and not above
the id reached in that snapshot. Also true for notifications that wait for a retry or were skipped.
Inlined.
*/
create function :"schema".log_is_settled(
  id bigint, xid xid8, progress :"schema".consumer_progress, rebased_id bigint)
returns boolean
language sql
immutable
parallel safe
return (id <= (progress).done_id
    and (id <= rebased_id or pg_visible_in_snapshot(xid, (progress).done_snapshot)))
  or coalesce(id <= (progress).window_id
    and (id <= rebased_id or pg_visible_in_snapshot(xid, (progress).window_snapshot)), false);
revoke all on function
  :"schema".log_is_settled(bigint, xid8, :"schema".consumer_progress, bigint) from public;
