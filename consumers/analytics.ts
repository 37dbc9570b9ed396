import { defineConsumer } from 'pgwatch';

/** The consumer's own tables: the events counted so far, and the counts. */
const TABLES = `
  create table if not exists analytics_seen (event_id uuid primary key);
  create table if not exists analytics_daily (
    day date, channel text, count bigint not null, primary key (day, channel))`;

/**
 * A notification may arrive twice, but must not be counted twice. So the ids of counted events are
 * saved in the same statement as the counts: both or neither, and only new events are counted.
 */
const COUNT = `
  with fresh as (
    insert into analytics_seen (event_id)
    select event_id from unnest($1::uuid[]) as event_id
    on conflict do nothing
    returning event_id
  )
  insert into analytics_daily as daily (day, channel, count)
  select n.created_at::date, n.channel, count(*)
  from fresh
  join unnest($1::uuid[], $2::timestamptz[], $3::text[]) as n (event_id, created_at, channel)
    using (event_id)
  group by 1, 2
  order by 1, 2
  on conflict (day, channel) do update set count = daily.count + excluded.count`;

let hasTables = false;
let [counted, reportedAt] = [0, Date.now()];

/** Counts notifications by day and channel: select * from analytics_daily. */
export default defineConsumer({
  id: 'analytics',
  channels: ['data_change', 'orders', 'reports'],
  batchSize: 200,
  // One statement per page makes catching up fast.
  async handleBatch(notifications, { db, reporter }) {
    if (!hasTables) await db.query(TABLES);
    hasTables = true;
    await db.query(COUNT, [
      notifications.map(({ eventId }) => eventId),
      notifications.map(({ createdAt }) => createdAt),
      notifications.map(({ channel }) => channel),
    ]);
    counted += notifications.length;
    if (Date.now() - reportedAt < 15_000) return;
    reporter.info(`${counted} counted.`);
    reportedAt = Date.now();
  },
});
