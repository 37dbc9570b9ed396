import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import { qualified } from '../../database/names.ts';
import { bytesText, someOf } from '../../words.ts';
import type { Check, Context, Finding } from './check.ts';
import type { ServerLimits } from './limits.ts';
import {
  type Channel,
  channelsText,
  notifyFindings,
  readLogChannels,
  readNotifyMode,
} from './log-channels.ts';

/** Checks how large the log is, by day and by channel, and that old notifications are removed. */
export const logSize: Check = {
  name: 'log',
  runs: 'transaction',
  needs: 'schema',
  async run(client, context) {
    const days = await readDays(client, context);
    const channels = await readLogChannels(client, context);
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
         pg_get_expr(c.relpartbound, c.oid),
         $$FROM \\('([^']+)'\\)$$))[1]::timestamptz)::float8 / 86400 as "startsDaysAgo"
     from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
     where i.inhparent = to_regclass($1)
     order by bytes desc, name`,
    [qualified(config.schema, 'notification_log')],
  );
  return rows;
}

/** Findings about the size and the age of the log. */
export function sizeFindings(
  days: readonly Day[],
  channels: readonly Channel[],
  { limits, config }: { limits: ServerLimits; config: Pick<Config, 'retentionMs'> },
): Finding[] {
  const bytes = days.reduce((sum, day) => sum + day.bytes, 0);
  const oldest = Math.max(0, ...days.map(({ startsDaysAgo }) => startsDaysAgo ?? 0));
  const keptDays = config.retentionMs === null ? null : config.retentionMs / 86_400_000;
  if (keptDays !== null && oldest > keptDays + SLACK_DAYS) return [kept(oldest, keptDays)];
  const isOld = keptDays === null && oldest > limits.logDays;
  if (bytes <= limits.logBytes && !isOld) return [];
  const age = isOld ? ` and reaches ${Math.floor(oldest)} days back` : '';
  return [
    {
      level: 'note',
      what:
        `The log holds ${bytesText(bytes)}${age}: ` +
        `${daysText(days, 10)}; ${channelsText(channels)}.`,
      why:
        `${keptDays === null ? 'Without retention, nothing is removed automatically. ' : ''}` +
        'A large log slows down backups and new consumers.',
      fix:
        keptDays === null
          ? 'pgwatch cleanup --days 7 --dry-run shows what would be removed, and which consumer ' +
            "keeps it; retention: '7d' in the config removes it automatically."
          : 'Shorten retention in the config, or publish fewer columns: ' +
            'pgwatch trigger add --exclude, or --payload changed.',
    },
  ];
}

function kept(oldest: number, keptDays: number): Finding {
  return {
    level: 'problem',
    what:
      `The log reaches ${Math.floor(oldest)} days back, ` +
      `although retention is ${Number(keptDays.toFixed(1))} days.`,
    why:
      'The log grows, because a consumer still needs the old notifications, ' +
      'or no daemon is running to remove them.',
    fix: `pgwatch cleanup --days ${Math.ceil(keptDays)} --dry-run shows which consumer keeps what.`,
  };
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
      what: `The ids of notifications have reached ${id}.`,
      why:
        'Above 2^53 JavaScript cannot represent them exactly, and daemons stop. ' +
        'No log gets there on its own: the sequence was set manually.',
      fix:
        'Set it back to just above the highest id, then adjust the positions: ' +
        `select setval('${qualified(config.schema, 'notification_log_id_seq')}', ` +
        `(select max(id) from ${qualified(config.schema, 'notification_log')})); ` +
        'pgwatch migrate rebase',
    },
  ];
}

/** The largest partitions. */
function daysText(days: readonly Day[], count: number): string {
  return someOf(
    days.map(({ name, bytes }) => `${name} ${bytesText(bytes)}`),
    count,
  );
}

/** Nine tenths of 2^53. */
const IDS_MAX = (2n ** 53n / 10n) * 9n;
/** A partition is removed once all of it is old, and the daemon checks only now and then. */
const SLACK_DAYS = 2;
