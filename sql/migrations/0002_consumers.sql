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

create function :"schema".log_rebase()
returns table (kept_notifications bigint, last_id bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Makes the log and all positions belong to this cluster, after a restore into a cluster whose xids
restarted, or after the sequence was set back. Stored xids are left as they are, because event ids
are derived from them; from then on rows up to log_origin.rebased_id count as visible to all.

Nothing that a consumer has not done is skipped. What is handed again: where a notification had
committed late and was not done yet, all that follow it; and after a restore, those that this
cluster has written since.
Returns: how many notifications the log holds, and the highest id.
Tables written: log_origin, consumer_progress, notification_log (only ids that occur twice).
*/
declare
  cluster_xid xid8 := pg_current_xact_id();
  sequence_name regclass := pg_get_serial_sequence(format('%I.notification_log', :'schema'), 'id');
  restored_at timestamptz;
  highest_id bigint;
  used_id bigint;
begin
  lock table :"schema".notification_log in share row exclusive mode;
  lock table :"schema".consumer_progress in share row exclusive mode;

  select max(log.created_at) into restored_at
  from :"schema".notification_log as log, :"schema".log_origin
  where log.xid >= cluster_xid and log.id > rebased_id;

  select coalesce(max(log.id), 0) into highest_id from :"schema".notification_log as log;
  /* Of what cleanup has removed the ids are still known: a new notification that got the id of a dead letter
     would count as handled. */
  select greatest(
    highest_id,
    (select max(greatest(progress.done_id, progress.window_end)) from :"schema".consumer_progress as progress),
    (select max(d.notification_id) from :"schema".delivery as d)
  ) into used_id;
  perform setval(sequence_name, greatest(used_id, 1), used_id > 0);

  /* A sequence that was set back gives an id a second time. The later row gets a new one. */
  update :"schema".notification_log as log
  set id = default
  from (
    select id, min(created_at) as created_at
    from :"schema".notification_log
    group by id
    having count(*) > 1
  ) as first
  where log.id = first.id and log.created_at > first.created_at;
  select coalesce(max(log.id), 0) into highest_id from :"schema".notification_log as log;

  if restored_at is null then
    /* Same cluster: without the bound N the rows with lower ids are found as late ones. */
    update :"schema".consumer_progress set done_xid = null, window_xid = null, epoch = epoch + 1;
  else
    update :"schema".consumer_progress as progress
    set
      done_id = coalesce((
        select min(log.id) - 1
        from :"schema".notification_log as log, :"schema".log_origin
        where log.created_at > restored_at
          or not :"schema".log_is_settled(log.id, log.xid, progress, rebased_id)), highest_id),
      done_snapshot = pg_current_snapshot(),
      done_xid = null,
      window_snapshot = null,
      window_end = null,
      window_id = null,
      window_xid = null,
      epoch = epoch + 1;
    update :"schema".log_origin set rebased_id = highest_id;
  end if;

  return query select count(*), highest_id from :"schema".notification_log;
end;
$$;
revoke all on function :"schema".log_rebase() from public;
