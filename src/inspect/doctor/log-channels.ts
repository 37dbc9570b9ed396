import type { Client } from 'pg';
import { qualified } from '../../database/names.ts';
import type { Context, Finding } from './check.ts';

/** How much a channel gets. */
export type Channel = {
  name: string;
  count: number;
  /** Of its notifications, those that smart_notify wrote. */
  explicit: number;
  /** All that were looked at, and how long it took to publish them. */
  total: number;
  spanMs: number;
};

/** Of the newest notifications: counting all would read the whole log. */
export async function readLogChannels(client: Client, { config }: Context): Promise<Channel[]> {
  const { rows } = await client.query<Channel>(
    `with newest as (
       select channel, action, created_at from ${qualified(config.schema, 'notification_log')}
       order by id desc limit ${SAMPLE})
     select channel as name, count(*)::integer as count, count(*) filter (where action is null)::integer as explicit,
       (sum(count(*)) over ())::integer as total,
       extract(epoch from max(max(created_at)) over () - min(min(created_at)) over ())::float8 * 1000 as "spanMs"
     from newest group by channel order by 2 desc, 1 limit 10`,
  );
  return rows;
}

/** In which shares, for people. */
export function channelsText(channels: readonly Channel[]): string {
  const [first] = channels;
  if (!first) return 'nothing published';
  const texts = channels.map(
    ({ name, count }) => `${JSON.stringify(name)} ${Math.round((count / first.total) * 100)} %`,
  );
  return `of the newest ${first.total.toLocaleString('en')} notifications ${texts.join(', ')}`;
}

/** What is to be said of channels whose every notification makes commits wait for each other. */
export function notifyFindings(
  channels: readonly Channel[],
  mode: string,
  { limits }: Pick<Context, 'limits'>,
): Finding[] {
  if (mode === 'off' || mode === 'doorbell') return [];
  return channels.flatMap(({ name, explicit, total, spanMs }) => {
    // A handful in a moment says nothing of a second.
    const perSecond = total < SAMPLE_MIN ? 0 : explicit / Math.max(1, spanMs / 1000);
    if (perSecond < limits.notifiesPerSecond) return [];
    return [
      {
        level: 'note' as const,
        what: `Channel ${JSON.stringify(name)} gets ${Math.round(perSecond).toLocaleString('en')} smart_notify calls a second.`,
        why: 'Unless their sessions have set pgwatch.notify, each sends a NOTIFY, and commits with NOTIFY wait for each other in the whole cluster.',
        fix: "alter database … set pgwatch.notify = 'doorbell'; unless plain LISTEN clients need each of them.",
      },
    ];
  });
}

/** What pgwatch.notify is for sessions like this one, '' where it is not set. */
export async function readNotifyMode(client: Client): Promise<string> {
  const { rows } = await client.query<{ mode: string | null }>(
    `select coalesce(current_setting('pgwatch.notify', true), '') as mode`,
  );
  return rows[0]?.mode ?? '';
}

const SAMPLE = 10_000;
const SAMPLE_MIN = 1000;
