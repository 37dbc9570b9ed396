import type { Client } from 'pg';
import { qualified } from '../../database/names.ts';
import { formatDuration } from '../../time.ts';
import type { Check, Context, Finding } from './check.ts';
import { shellWord } from './shell-word.ts';

/** Whether somebody runs each consumer that is known, and what it has left lying. */
export const consumers: Check = {
  name: 'consumers',
  runs: 'transaction',
  needs: 'schema',
  async run(client, context) {
    const states = await readStates(client, context);
    const findings = states.flatMap((state) => [
      ...notRun(state, context),
      ...paused(state),
      ...failed(state, context),
    ]);
    const running = states.filter(({ isRun }) => isRun).length;
    return { findings, seen: `${states.length} known, ${running} running` };
  },
};

export type ConsumerState = {
  id: string;
  /** A daemon that is alive has it among those it runs, or would take over. */
  isRun: boolean;
  isPaused: boolean;
  pausedAt: Date | null;
  pausedUntil: Date | null;
  idleMs: number;
  /** Where nobody runs it; those that are leased count. */
  unread: number;
  isExact: boolean;
  dead: number;
  waiting: number;
  /** By how much the oldest retry is late. */
  lateMs: number | null;
  late: number;
  /** Of them, those in leases of daemons that are gone. */
  leased: number;
};

async function readStates(client: Client, { config, limits }: Context): Promise<ConsumerState[]> {
  const table = (name: string) => qualified(config.schema, name);
  const { rows } = await client.query<ConsumerState>(
    `with live as (
       select daemon_id, consumer_ids || shared_ids as ids from ${table('live_daemon')}
     ), consumer as (
       select *, exists (select from live where consumer_id = any(ids)) as is_run,
         coalesce(paused_at is not null and (paused_until is null or paused_until > now()), false) as is_paused
       from ${table('consumer_progress')}
     )
     select c.consumer_id as id, is_run as "isRun", is_paused as "isPaused", paused_at as "pausedAt",
       paused_until as "pausedUntil", extract(epoch from now() - saved_at)::float8 * 1000 as "idleMs",
       coalesce(u.unread, 0)::float8 as unread, coalesce(u.is_exact, true) as "isExact", d.dead, d.waiting, d.late,
       extract(epoch from now() - d.due_at)::float8 * 1000 as "lateMs",
       (select coalesce(sum(cardinality(notification_ids)), 0)::integer from ${table('lease')} as l
         where l.consumer_id = c.consumer_id and kind <> 'retry' and owner is not null
           and not exists (select from live where daemon_id = l.owner)) as leased
     from consumer as c
     left join lateral (
       select unread, is_exact from ${table('consumer_lag')}(array[c.consumer_id]) where not is_run and not is_paused
     ) as u on true
     cross join lateral (
       select count(*) filter (where state = 'dead')::integer as dead,
         count(*) filter (where state <> 'dead')::integer as waiting,
         count(*) filter (where state = 'retry' and next_attempt_at < now() - $1 * interval '1 ms')::integer as late,
         min(next_attempt_at) filter (where state = 'retry') as due_at
       from ${table('delivery')} as d where d.consumer_id = c.consumer_id
     ) as d
     order by c.consumer_id`,
    [limits.retryLateMs],
  );
  return rows;
}

function notRun(
  { id, isRun, isPaused, unread, isExact, waiting, leased, idleMs }: ConsumerState,
  context: Context,
) {
  if (isRun || isPaused || unread + waiting === 0) return [];
  const isForgotten = idleMs > context.limits.consumerDays * 86_400_000;
  const idle = isForgotten
    ? ` Its position has not moved for ${Math.floor(idleMs / 86_400_000)} days.`
    : '';
  const about = isExact ? '' : 'about ';
  const inLeases =
    leased > 0 ? ` (${leased.toLocaleString('en')} in leases of a daemon that is gone)` : '';
  const left = [
    ...(unread > 0 ? [`${about}${countText(unread)} to read${inLeases}`] : []),
    ...(waiting > 0 ? [`${countText(waiting)} waiting for a retry`] : []),
  ];
  const finding: Finding = {
    level: 'problem',
    what: `No daemon runs ${id}, and it has ${left.join(', and ')}.${idle}`,
    why: isForgotten
      ? 'It keeps the log from being cleaned up, all that it has not read.'
      : 'They wait until one does.',
    fix: `pgwatch listen --consumers ${shellWord(id)}; or where nobody needs it any more: pgwatch consumers remove ${shellWord(id)}`,
  };
  return [finding];
}

function paused({ id, isPaused, pausedAt, pausedUntil }: ConsumerState): Finding[] {
  if (!isPaused) return [];
  const end = pausedUntil ? `until ${pausedUntil.toISOString()}` : 'until somebody resumes it';
  return [
    {
      level: 'note',
      what: `${id} has been paused since ${pausedAt?.toISOString()}, ${end}.`,
      why: 'Nothing is handed to it, and what it has not read stays in the log.',
      fix: `pgwatch consumers resume ${shellWord(id)}`,
    },
  ];
}

function failed(
  { id, isRun, isPaused, dead, late, lateMs }: ConsumerState,
  context: Context,
): Finding[] {
  const isLate = isRun && !isPaused && late > 0;
  return [
    ...(dead > 0
      ? [
          {
            level: 'problem' as const,
            what: `${id} has ${dead.toLocaleString('en')} dead letter${dead === 1 ? '' : 's'}.`,
            why: 'These were given up, and nobody handles them until somebody decides.',
            fix: `pgwatch dlq list --consumer ${shellWord(id)}; then pgwatch dlq retry, or discard, --consumer ${shellWord(id)}`,
          },
        ]
      : []),
    ...(isLate
      ? [
          {
            level: 'problem' as const,
            what: `${id} runs, and ${late.toLocaleString('en')} of its retries are late, the oldest by ${formatDuration(lateMs ?? context.limits.retryLateMs)}.`,
            why: 'Its handlers are too slow for what comes, or one hangs; or it has stopped at a dead letter (onDead).',
            fix: `pgwatch status ${shellWord(id)} tells what it does; more concurrency, a shorter timeout, or instances: 'shared' let it keep up.`,
          },
        ]
      : []),
  ];
}

function countText(count: number): string {
  return `${Math.round(count).toLocaleString('en')} notification${count === 1 ? '' : 's'}`;
}
