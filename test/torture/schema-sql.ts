/**
 * What writers and handlers need. A publisher with a key locks its row in torture.key, so the order
 * of commits is that of the sequence. An effect may be written twice: the checker must be able to
 * see it. What a position has settled and a later one has not is recorded, unless it was moved
 * manually.
 */
export const TORTURE_SCHEMA = `
create schema torture;
create table torture.key (key text primary key, sequence bigint not null default 0)
  with (fillfactor = 20);
create table torture.effect (
  effect_id bigint generated always as identity primary key,
  consumer text not null,
  notification_id bigint not null,
  event_id uuid not null,
  token text not null
);
create view torture.stored as select id, key, payload from pgwatch.notification_log
where channel = 'torture';
create table torture.by_hand (
  consumer text not null,
  token text not null,
  what text not null
);
create table torture.setback (text text not null);
create function torture.is_settled(p pgwatch.consumer_progress, id bigint, xid xid8)
returns boolean language sql immutable
return id <= p.done_id and pg_visible_in_snapshot(xid, p.done_snapshot)
  or p.window_id is not null and id <= p.window_id
    and pg_visible_in_snapshot(xid, p.window_snapshot);
create function torture.note_setback() returns trigger language plpgsql as $$
begin
  insert into torture.setback
  select format('%s: %s was settled', old.consumer_id, payload->>'token')
  from pgwatch.notification_log
  where torture.is_settled(old, id, xid) and not torture.is_settled(new, id, xid);
  return null;
end $$;
create trigger setback after update on pgwatch.consumer_progress for each row
when (current_setting('torture.by_hand', true) is null and (new.done_id < old.done_id
  or pg_snapshot_xmax(new.done_snapshot) < pg_snapshot_xmax(old.done_snapshot)
  or new.window_snapshot is not null and new.window_id < old.window_id))
execute function torture.note_setback();`;
