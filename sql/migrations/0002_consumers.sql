-- How far each consumer got. The position is a snapshot and an id, never an id alone: ids are handed
-- out before commit, so a lower id can become visible after a higher one.

/*
One consumer a row.

done_id, done_snapshot  H and S: every notification with id <= H that is visible in S is settled
done_xid                N: every xid that existed when S was taken is below it; null: no such bound
window_snapshot         T, an open window: of what is visible in it, everything with id <= window_id is
window_end, window_id   settled; window_end is the highest id visible in T. All null when none is open
window_xid              the N of that window: the xid of the transaction that first saved it
epoch                   raised by each new owner; an older owner's writes are refused by it
owner, owned_since      the daemon that runs the consumer now; null after a clean stop
is_shared               several daemons split its work (see lease), and none owns it
is_ordered              notifications of one key wait for each other, as who ran it last says
began_id,               where it began, or was moved to by hand: what lies before that may never have
began_snapshot,         been handed to it; and when. Visible in that snapshot with id <= began_id
began_at                is what lies before
paused_at               since when no daemon runs it; null: it is not paused
paused_until            when that ends by itself; null: when somebody resumes it
*/
create table :"schema".consumer_progress (
  consumer_id text primary key,
  channels text[] not null,
  done_id bigint not null,
  done_snapshot pg_snapshot not null,
  done_xid xid8,
  window_snapshot pg_snapshot,
  window_end bigint,
  window_id bigint,
  window_xid xid8,
  epoch bigint not null default 0,
  owner uuid,
  owned_since timestamptz,
  is_shared boolean not null default false,
  is_ordered boolean not null default true,
  began_id bigint not null default 0,
  began_snapshot pg_snapshot not null default '1:1:',
  began_at timestamptz not null default now(),
  paused_at timestamptz,
  paused_until timestamptz check (paused_until is null or paused_at is not null),
  created_at timestamptz not null default now(),
  saved_at timestamptz not null default now()
) with (fillfactor = 50);

/*
Whether a position has settled a notification: it is visible in one of its snapshots and not above what was
reached in that. True also for what waits for a retry, and for what was skipped. Inlined.
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
revoke all on function :"schema".log_is_settled(bigint, xid8, :"schema".consumer_progress, bigint) from public;
