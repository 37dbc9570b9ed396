import type { Client } from 'pg';
import { qualified } from '../../database/names.ts';
import { type ConsumerView, readConsumerViews } from '../consumer-view.ts';
import type { Context } from './check.ts';

/** The state of a consumer, and what has waited for too long. */
export type ConsumerHealth = ConsumerView & {
  /** How many retries are late. */
  late: number;
  /** By how much the oldest of them is late; null if none is waiting. */
  lateMs: number | null;
  /** How many notifications are in leases of daemons that have died. */
  leased: number;
};

/** Reads the health of all consumers, in order of their ids, and whether any daemon is alive. */
export async function readHealth(
  client: Client,
  { config: { schema }, limits }: Context,
): Promise<{ isAnyAlive: boolean; consumers: ConsumerHealth[] }> {
  const { daemons, consumers } = await readConsumerViews(client, schema, null);
  const { rows } = await client.query<{ id: string } & Overdue>(
    `select c.consumer_id as id, d.late,
       extract(epoch from now() - d.due_at)::float8 * 1000 as "lateMs",
       (select coalesce(sum(cardinality(notification_ids)), 0)::integer
         from ${qualified(schema, 'lease')} as l
         where l.consumer_id = c.consumer_id and kind <> 'retry' and owner is not null
           and not exists (
             select from ${qualified(schema, 'live_daemon')} where daemon_id = l.owner)) as leased
     from ${qualified(schema, 'consumer_progress')} as c
     cross join lateral (
       select
         (count(*) filter (where next_attempt_at < now() - $1 * interval '1 ms'))::integer as late,
         min(next_attempt_at) as due_at
       from ${qualified(schema, 'delivery')} as d
       where d.consumer_id = c.consumer_id and state = 'retry' and called_attempt is null
     ) as d`,
    [limits.retryLateMs],
  );
  const overdue = new Map(rows.map(({ id, ...each }) => [id, each]));
  return {
    isAnyAlive: daemons.length > 0,
    consumers: consumers.map((view) => ({
      ...view,
      ...(overdue.get(view.consumerId) ?? NOTHING_OVERDUE),
    })),
  };
}

type Overdue = Pick<ConsumerHealth, 'late' | 'lateMs' | 'leased'>;

const NOTHING_OVERDUE: Overdue = { late: 0, lateMs: null, leased: 0 };
