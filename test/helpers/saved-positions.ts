import type { TestDatabase } from './database.ts';

/** Records every position saved from now on: a daemon that dies resumes from one of them. */
export async function recordPositions(database: TestDatabase): Promise<void> {
  await database.query(
    `create table saved_position (
       at bigint generated always as identity, consumer_id text, done_id bigint,
       done_snapshot pg_snapshot, done_xid xid8);
     create function save_position() returns trigger language plpgsql as $$ begin
       insert into public.saved_position (consumer_id, done_id, done_snapshot, done_xid)
       values (new.consumer_id, new.done_id, new.done_snapshot, new.done_xid);
       return null;
     end $$;
     create trigger save_position after update on pgwatch.consumer_progress
       for each row execute function save_position()`,
  );
}

/** Notifications that a consumer would lose if it died after one of those positions. */
export async function lostByPositions(database: TestDatabase, channel: string): Promise<unknown[]> {
  const { rows } = await database.query(
    `select log.id, log.xid, p.* from pgwatch.notification_log as log
     join saved_position as p on log.id <= p.done_id
     where log.channel = $1 and not pg_visible_in_snapshot(log.xid, p.done_snapshot)
       and not (log.xid in (select pg_snapshot_xip(p.done_snapshot))
         or log.xid >= pg_snapshot_xmax(p.done_snapshot) and log.xid < p.done_xid)
     limit 5`,
    [channel],
  );
  return rows;
}

/** Saves that moved a position back. */
export async function positionsTakenBack(database: TestDatabase): Promise<unknown[]> {
  const { rows } = await database.query(
    `select * from (
       select *, lag(done_id) over (partition by consumer_id order by at) as earlier_id
       from saved_position) as p
     where done_id < earlier_id limit 5`,
  );
  return rows;
}
