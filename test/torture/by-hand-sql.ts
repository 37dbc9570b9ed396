/**
 * Makes the round's database record manual operations: what a seek skips or repeats, what a replay
 * files, and which replays are cancelled before they come. It relies on the target of the seek and
 * on visibility, not on what the seek considers settled. What cleanup removes stays in
 * torture.stored.
 */
export const BY_HAND_SQL = `
create table torture.removed (id bigint, key text, payload jsonb);
create or replace view torture.stored as
  select id, key, payload from pgwatch.notification_log where channel = 'torture'
  union all select id, key, payload from torture.removed;
create function torture.note_removed() returns trigger language plpgsql as $$
begin
  insert into torture.removed values (old.id, old.key, old.payload);
  return null;
end $$;
create trigger removed after delete on pgwatch.notification_log for each row
execute function torture.note_removed();

create function torture.note_seek() returns trigger language plpgsql as $$
declare
  target bigint := least(current_setting('torture.seek_to')::bigint, new.done_id);
begin
  if target <= greatest(old.done_id, coalesce(old.window_id, 0)) then
    target := 0;
  end if;
  insert into torture.by_hand
  select old.consumer_id, payload->>'token', case when was_settled then 'again' else 'skipped' end
  from (
    select *, torture.is_settled(old, id, xid) as was_settled from pgwatch.notification_log
  ) as log
  where case when was_settled then not torture.is_settled(new, id, xid) else id <= target end;
  return null;
end $$;
create trigger by_hand after update on pgwatch.consumer_progress for each row
when (current_setting('torture.by_hand', true) = 'seek')
execute function torture.note_seek();

create function torture.note_replay() returns trigger language plpgsql as $$
declare
  delivery pgwatch.delivery := case tg_op when 'INSERT' then new else old end;
begin
  insert into torture.by_hand
  select delivery.consumer_id, payload->>'token',
    case tg_op when 'INSERT' then 'replayed' else 'taken back' end
  from torture.stored where id = delivery.notification_id;
  return null;
end $$;
create trigger replayed after insert on pgwatch.delivery for each row
when (new.replayed_at is not null)
execute function torture.note_replay();
create trigger taken_back after delete on pgwatch.delivery for each row
when (old.replayed_at is not null
  and current_setting('torture.by_hand', true) in ('seek', 'cancel'))
execute function torture.note_replay();`;
