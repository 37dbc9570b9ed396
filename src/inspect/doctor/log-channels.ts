import type { Client } from 'pg';
import { qualified } from '../../database/names.ts';
import { countOf } from '../../words.ts';
import type { Context, Finding } from './check.ts';

/** How many notifications a channel gets. */
export type Channel = {
  name: string;
  count: number;
  /** Those written by smart_notify. */
  explicit: number;
  /** How many were counted for all channels, and over what time they were published. */
  total: number;
  spanMs: number;
};

/** Counts the newest notifications by channel. Counting all would read the whole log. */
export async function readLogChannels(client: Client, { config }: Context): Promise<Channel[]> {
  const { rows } = await client.query<Channel>(
    `with newest as (
       select channel, action, created_at from ${qualified(config.schema, 'notification_log')}
       order by id desc limit ${SAMPLE})
     select channel as name, count(*)::integer as count,
       count(*) filter (where action is null)::integer as explicit,
       (sum(count(*)) over ())::integer as total,
       extract(epoch from max(max(created_at)) over ()
         - min(min(created_at)) over ())::float8 * 1000 as "spanMs"
     from newest group by channel order by 2 desc, 1 limit 10`,
  );
  return rows;
}

/** The share of each channel, for people. */
export function channelsText(channels: readonly Channel[]): string {
  const [first] = channels;
  if (!first) return 'nothing published';
  const texts = channels.map(
    ({ name, count }) => `${JSON.stringify(name)} ${Math.round((count / first.total) * 100)} %`,
  );
  const newest = `the newest ${countOf(first.total, 'notification')}`;
  return `channels of ${newest}: ${texts.join(', ')}`;
}

/** Finds channels whose notifications make many commits wait for each other. */
export function notifyFindings(
  channels: readonly Channel[],
  mode: string,
  { limits }: Pick<Context, 'limits'>,
): Finding[] {
  if (mode === 'off' || mode === 'doorbell') return [];
  return channels.flatMap(({ name, explicit, total, spanMs }) => {
    // A few notifications say nothing about the rate.
    const perSecond = total < SAMPLE_MIN ? 0 : explicit / Math.max(1, spanMs / 1000);
    if (perSecond < limits.notifiesPerSecond) return [];
    return [
      {
        level: 'note' as const,
        what:
          `Channel ${JSON.stringify(name)} gets ` +
          `${Math.round(perSecond).toLocaleString('en')} smart_notify calls a second.`,
        why:
          'Unless their sessions set pgwatch.notify, each sends a NOTIFY, ' +
          'and commits with NOTIFY wait for each other in the whole cluster.',
        fix:
          "alter database … set pgwatch.notify = 'doorbell'; " +
          'unless plain LISTEN clients need each notification.',
      },
    ];
  });
}

/** The value of pgwatch.notify in sessions like this one; '' if it is not set. */
export async function readNotifyMode(client: Client): Promise<string> {
  const { rows } = await client.query<{ mode: string | null }>(
    `select coalesce(current_setting('pgwatch.notify', true), '') as mode`,
  );
  return rows[0]?.mode ?? '';
}

const SAMPLE = 10_000;
const SAMPLE_MIN = 1000;
