import type { Client } from 'pg';
import { readEventTriggers } from '../../database/event-triggers.ts';
import { qualified } from '../../database/names.ts';
import { bytesText, countOf, someOf } from '../../words.ts';
import type { Check, Context, Finding } from './check.ts';

/** Checks that there are partitions for notifications of today and tomorrow. */
export const partitions: Check = {
  name: 'partitions',
  runs: 'transaction',
  needs: 'schema',
  async run(client, { config, limits }) {
    const { rows } = await client.query<FoundPartitions>(
      `with partition as (
         select c.oid, pg_get_expr(c.relpartbound, c.oid) as bound
         from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
         where i.inhparent = to_regclass($1)
       ), span as (
         select (regexp_match(bound, $$FROM \\('([^']+)'\\)$$))[1]::timestamptz as starts,
           (regexp_match(bound, $$TO \\('([^']+)'\\)$$))[1]::timestamptz as ends
         from partition where bound <> 'DEFAULT'
       ), period as (
         select date_trunc($2, now()) + step * ('1 ' || $2)::interval as at
         from generate_series(0, 1) as step
       )
       select (select count(*)::integer from partition) as count,
         array(select to_char(at, 'YYYY-MM-DD HH24:MI') from period
           where not exists (select from span where starts <= at and at < ends)
           order by at) as missing,
         (select pg_relation_size(oid)::float8 from partition
           where bound = 'DEFAULT') as "defaultBytes",
         (select oid::regclass::text from partition where bound = 'DEFAULT') as "defaultName",
         coalesce((select has_table_privilege(oid, 'select') from partition
           where bound = 'DEFAULT'), false) as "mayRead",
         to_regclass($1) is not null as "isThere"`,
      [qualified(config.schema, 'notification_log'), config.partition],
    );
    const [found] = rows as [FoundPartitions];
    const isEmpty = found.mayRead && (await isEmptyTable(client, found.defaultName));
    const eventTriggers = (await readEventTriggers(client)).map(({ name }) => name);
    const findings = partitionFindings({ ...found, isEmpty, eventTriggers }, limits);
    return { findings, seen: countOf(found.count, 'partition') };
  },
};

export type FoundPartitions = {
  count: number;
  /** When the current and the next period begin, in UTC, if no partition covers them. */
  missing: string[];
  defaultBytes: number | null;
  /** As SQL writes it. */
  defaultName: string | null;
  mayRead: boolean;
  isThere: boolean;
};

/** Its rows may have been removed without its file getting smaller. */
async function isEmptyTable(client: Client, name: string | null): Promise<boolean> {
  const { rows } = await client.query(`select from ${name} limit 1`);
  return rows.length === 0;
}

function partitionFindings(
  found: FoundPartitions & { isEmpty: boolean; eventTriggers: string[] },
  limits: Context['limits'],
): Finding[] {
  const { missing, defaultBytes, defaultName, isEmpty, isThere, eventTriggers } = found;
  if (!isThere) return [];
  const isFull = (defaultBytes ?? 0) > limits.defaultPartitionBytes;
  return [
    ...(missing.length > 0
      ? [
          {
            level: 'note' as const,
            what: `The log has no partition for ${missing.map((at) => `${at} UTC`).join(' and ')}.`,
            why:
              'Notifications then go to the default partition. ' +
              'None is lost, but they can only be removed row by row.',
            fix: isFull
              ? 'Empty the default partition first; see the finding about it.'
              : 'pgwatch listen: a daemon makes partitions in advance, when it starts and every ' +
                `ten minutes${eventTriggersText(eventTriggers)}.`,
          },
        ]
      : []),
    ...(defaultName === null
      ? [
          {
            level: 'problem' as const,
            what: 'The log has no default partition.',
            why:
              'If no partition covers the current time, ' +
              'publishing and every write to a captured table fail.',
            fix:
              'pgwatch migrate, as the role that installed pgwatch: ' +
              'it restores notification_log_default.',
          },
        ]
      : []),
    ...(defaultName !== null && defaultBytes && (!isEmpty || isFull)
      ? [
          {
            level: isFull ? ('problem' as const) : ('note' as const),
            what:
              `The default partition holds ${bytesText(defaultBytes)}, ` +
              'as happens after days without a daemon.',
            why: isFull
              ? `Above ${bytesText(limits.defaultPartitionBytes)} no more partitions are made, ` +
                'since attaching one reads all of it under a lock: ' +
                'everything that is published goes there, too.'
              : 'Days with rows in it cannot get their own partition, and are removed row by row.',
            fix: isEmpty
              ? `It is empty now: vacuum ${defaultName};`
              : 'pgwatch cleanup --days 7 removes what no consumer needs; ' +
                `then: vacuum ${defaultName};`,
          },
        ]
      : []),
  ];
}

/** '; it warns …' if the database has event triggers, which may fail. */
function eventTriggersText(names: readonly string[]): string {
  if (names.length === 0) return '';
  return `; it warns if an event trigger of this database (${someOf(names)}) prevents that`;
}
