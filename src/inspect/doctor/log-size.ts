import type { Client } from 'pg';
import { qualified } from '../../database/names.ts';
import type { Check, Context, Finding } from './check.ts';
import { bytesText } from './log-text.ts';

/** How large the log is, by day and by channel, and whether anybody removes what is old. */
export const logSize: Check = {
  name: 'log',
  runs: 'transaction',
  needs: 'schema',
  async run(client, context) {
    const days = await readDays(client, context);
    const channels = await readChannels(client, context);
    const findings = [
      ...sizeFindings(days, channels, context),
      ...notifyFindings(channels, await readNotifyMode(client), context),
      ...(await findSequence(client, context)),
    ];
    const bytes = days.reduce((sum, day) => sum + day.bytes, 0);
    const seen = `${bytesText(bytes)}, ${daysText(days, 3)}; ${channelsText(channels)}`;
    return { findings, seen };
  },
};

export type Day = { name: string; bytes: number; startsDaysAgo: number | null };

async function readDays(client: Client, { config }: Context): Promise<Day[]> {
  const { rows } = await client.query<Day>(
    `select c.relname::text as name, pg_total_relation_size(c.oid)::float8 as bytes,
       extract(epoch from now() - (regexp_match(
         pg_get_expr(c.relpartbound, c.oid), $$FROM \\('([^']+)'\\)$$))[1]::timestamptz)::float8 / 86400 as "startsDaysAgo"
     from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
     where i.inhparent = to_regclass($1)
     order by bytes desc, name`,
    [qualified(config.schema, 'notification_log')],
  );
  return rows;
}

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
async function readChannels(client: Client, { config }: Context): Promise<Channel[]> {
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

/** What is to be said of a log of this size. */
export function sizeFindings(
  days: readonly Day[],
  channels: readonly Channel[],
  { limits }: Pick<Context, 'limits'>,
): Finding[] {
  const bytes = days.reduce((sum, day) => sum + day.bytes, 0);
  const oldest = Math.max(0, ...days.map(({ startsDaysAgo }) => startsDaysAgo ?? 0));
  const isOld = oldest > limits.logDays;
  if (bytes <= limits.logBytes && !isOld) return [];
  const age = isOld ? ` and reaches ${Math.floor(oldest)} days back` : '';
  return [
    {
      level: 'note',
      what: `The log holds ${bytesText(bytes)}${age}: ${daysText(days, 10)}; ${channelsText(channels)}.`,
      why: 'Nothing is removed unless somebody asks for it; large logs make backups and the start of new consumers slow.',
      fix: 'pgwatch cleanup --days 7 --dry-run tells what would go, and which consumer keeps it; retention in the config does it by itself.',
    },
  ];
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

async function readNotifyMode(client: Client): Promise<string> {
  const { rows } = await client.query<{ mode: string | null }>(
    `select coalesce(current_setting('pgwatch.notify', true), '') as mode`,
  );
  return rows[0]?.mode ?? '';
}

async function findSequence(client: Client, { config }: Context): Promise<Finding[]> {
  const { rows } = await client.query<{ id: string }>(
    `select last_value::text as id from ${qualified(config.schema, 'notification_log_id_seq')}`,
  );
  const id = BigInt(rows[0]?.id ?? 0);
  if (id < IDS_MAX) return [];
  return [
    {
      level: 'problem',
      what: `The ids of notifications stand at ${id.toLocaleString('en')}.`,
      why: 'Above 2^53 JavaScript cannot hold them exactly, and daemons stop. No log gets there by itself: somebody has set the sequence.',
      fix: `Set it back to just above the highest id, then make the positions fit: select setval('${qualified(config.schema, 'notification_log_id_seq')}', (select max(id) from ${qualified(config.schema, 'notification_log')})); pgwatch migrate rebase`,
    },
  ];
}

/** The largest partitions. */
function daysText(days: readonly Day[], count: number): string {
  const texts = days.slice(0, count).map(({ name, bytes }) => `${name} ${bytesText(bytes)}`);
  return days.length > count
    ? `${texts.join(', ')} and ${days.length - count} more`
    : texts.join(', ');
}

function channelsText(channels: readonly Channel[]): string {
  const [first] = channels;
  if (!first) return 'nothing published';
  const texts = channels.map(
    ({ name, count }) => `${JSON.stringify(name)} ${Math.round((count / first.total) * 100)} %`,
  );
  return `of the newest ${first.total.toLocaleString('en')} notifications ${texts.join(', ')}`;
}

const SAMPLE = 10_000;
const SAMPLE_MIN = 1000;
/** Nine tenths of 2^53. */
const IDS_MAX = (2n ** 53n / 10n) * 9n;
