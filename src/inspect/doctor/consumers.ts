import { shellWord } from '../../shell-word.ts';
import { formatDuration } from '../../time.ts';
import { countOf } from '../../words.ts';
import type { Check, Context, Finding } from './check.ts';
import { type ConsumerHealth, isAnyAlive, readStates } from './consumer-states.ts';

/** Whether somebody runs each consumer that is known, and what it has left lying. */
export const consumers: Check = {
  name: 'consumers',
  runs: 'transaction',
  needs: 'schema',
  async run(client, context) {
    const states = await readStates(client, context);
    const hasDaemon = await isAnyAlive(client, context);
    const findings = [
      ...(hasDaemon ? [] : noDaemon(states)),
      ...states.flatMap((state) => [
        ...(hasDaemon ? notRun(state, context) : []),
        ...paused(state),
        ...failed(state, context),
      ]),
    ];
    const running = states.filter(({ isRun }) => isRun).length;
    return { findings, seen: `${states.length} known, ${running} running` };
  },
};

/** One thing is wrong then, however many consumers there are. */
function noDaemon(states: readonly ConsumerHealth[]): Finding[] {
  const waiting = states.flatMap((state) => {
    const left = state.isPaused ? '' : leftText(state);
    return left ? [`${state.id} has ${left}`] : [];
  });
  if (waiting.length === 0) return [];
  return [
    {
      level: 'problem',
      what: `No daemon is alive: ${waiting.join('; ')}.`,
      why: 'They wait until one is.',
      fix: 'pgwatch listen',
    },
  ];
}

function notRun(state: ConsumerHealth, context: Context) {
  const { id, isRun, isPaused, idleMs } = state;
  const left = leftText(state);
  if (isRun || isPaused || left === '') return [];
  const isForgotten = idleMs > context.limits.consumerDays * 86_400_000;
  const idle = isForgotten
    ? ` Its position has not moved for ${Math.floor(idleMs / 86_400_000)} days.`
    : '';
  const finding: Finding = {
    level: 'problem',
    what: `No daemon runs ${id}, and it has ${left}.${idle}`,
    why: isForgotten
      ? 'It keeps the log from being cleaned up, all that it has not read.'
      : 'They wait until one does.',
    fix: `pgwatch listen --consumers ${shellWord(id)}; or where nobody needs it any more: pgwatch consumers remove ${shellWord(id)}`,
  };
  return [finding];
}

/** '3 notifications to read, and 1 waiting for a retry'; empty where nothing is left to do. */
function leftText({ unread, isExact, waiting, replaying, leased }: ConsumerHealth): string {
  const about = isExact ? '' : 'about ';
  const inLeases =
    leased > 0 ? ` (${leased.toLocaleString('en')} in leases of a daemon that is gone)` : '';
  return [
    ...(unread > 0
      ? [`${about}${countOf(Math.round(unread), 'notification')} to read${inLeases}`]
      : []),
    ...(waiting > 0 ? [`${countOf(Math.round(waiting), 'notification')} waiting for a retry`] : []),
    ...(replaying > 0 ? [`${countOf(Math.round(replaying), 'notification')} to be replayed`] : []),
  ].join(', and ');
}

function paused({ id, isPaused, pausedAt, pausedUntil }: ConsumerHealth): Finding[] {
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
  { id, isRun, isPaused, isStopped, dead, late, lateMs }: ConsumerHealth,
  context: Context,
): Finding[] {
  const isLate = isRun && !isPaused && !isStopped && late > 0;
  return [
    ...(dead > 0
      ? [
          {
            level: 'problem' as const,
            what: `${id} has ${countOf(dead, 'dead letter')}${isStopped ? ', and has stopped there' : ''}.`,
            why: isStopped
              ? "With onDead: 'stop' nothing new is handed to it until somebody decides about these."
              : 'These were given up, and nobody handles them until somebody decides.',
            fix: `pgwatch dlq list --consumer ${shellWord(id)}; then pgwatch dlq retry, or discard, --consumer ${shellWord(id)}`,
          },
        ]
      : []),
    ...(isLate
      ? [
          {
            level: 'problem' as const,
            what: `${id} runs, and ${late.toLocaleString('en')} of its retries ${late === 1 ? 'is' : 'are'} late, the oldest by ${formatDuration(lateMs ?? context.limits.retryLateMs)}.`,
            why: 'Its handlers are too slow for what comes, or one hangs.',
            fix: `pgwatch status ${shellWord(id)} tells what it does; more concurrency, a shorter timeout, or instances: 'shared' let it keep up.`,
          },
        ]
      : []),
  ];
}
