import { shellWord } from '../../shell-word.ts';
import { formatDuration } from '../../time.ts';
import { countOf } from '../../words.ts';
import type { Check, Context, Finding } from './check.ts';
import { type ConsumerHealth, readHealth } from './consumer-health.ts';

/** Checks that a daemon runs each registered consumer, and what each has left to do. */
export const consumers: Check = {
  name: 'consumers',
  runs: 'transaction',
  needs: 'schema',
  async run(client, context) {
    const { isAnyAlive, consumers: all } = await readHealth(client, context);
    const findings = [
      ...(isAnyAlive ? [] : noDaemon(all)),
      ...all.flatMap((each) => [
        ...(isAnyAlive ? notRun(each, context) : []),
        ...paused(each),
        ...failed(each, context),
      ]),
    ];
    const running = all.filter(({ isRun }) => isRun).length;
    return { findings, seen: `${all.length} registered, ${running} running` };
  },
};

/** One finding for all consumers: only one thing is wrong. */
function noDaemon(all: readonly ConsumerHealth[]): Finding[] {
  const waiting = all.flatMap((each) => {
    const left = each.isPaused ? '' : leftText(each);
    return left ? [`${each.consumerId} has ${left}`] : [];
  });
  if (waiting.length === 0) return [];
  return [
    {
      level: 'problem',
      what: `No daemon is running: ${waiting.join('; ')}.`,
      why: 'They wait until one is started.',
      fix: 'pgwatch listen',
    },
  ];
}

function notRun(health: ConsumerHealth, { limits }: Context): Finding[] {
  const { consumerId, isRun, isPaused, savedAt } = health;
  const left = leftText(health);
  if (isRun || isPaused || left === '') return [];
  const idleDays = Math.floor((Date.now() - savedAt.getTime()) / 86_400_000);
  const isForgotten = idleDays >= limits.consumerDays;
  const idle = isForgotten ? ` Its position has not moved for ${idleDays} days.` : '';
  const id = shellWord(consumerId);
  return [
    {
      level: 'problem',
      what: `No daemon runs ${consumerId}, which has ${left}.${idle}`,
      why: isForgotten
        ? 'What it has not read stays in the log.'
        : 'They wait until a daemon runs it.',
      fix:
        `pgwatch listen --consumers ${id}; or if it is no longer needed: ` +
        `pgwatch consumers remove ${id}`,
    },
  ];
}

/** '3 notifications to read, and 1 waiting for a retry'; empty if there is nothing left to do. */
function leftText(health: ConsumerHealth): string {
  const { unread, isExact, retrying, blocked, replaying, leased } = health;
  const waiting = retrying + blocked;
  const about = isExact ? '' : 'about ';
  const inLeases =
    leased > 0 ? ` (${leased.toLocaleString('en')} in leases of a daemon that has died)` : '';
  return [
    ...(unread > 0
      ? [`${about}${countOf(Math.round(unread), 'notification')} to read${inLeases}`]
      : []),
    ...(waiting > 0 ? [`${countOf(waiting, 'notification')} waiting for a retry`] : []),
    ...(replaying > 0 ? [`${countOf(replaying, 'notification')} to be replayed`] : []),
  ].join(', and ');
}

function paused({ consumerId, isPaused, pausedAt, pausedUntil }: ConsumerHealth): Finding[] {
  if (!isPaused) return [];
  const end = pausedUntil ? `until ${pausedUntil.toISOString()}` : 'until it is resumed';
  return [
    {
      level: 'note',
      what: `${consumerId} has been paused since ${pausedAt?.toISOString()}, ${end}.`,
      why: 'It receives nothing, and what it has not read stays in the log.',
      fix: `pgwatch consumers resume ${shellWord(consumerId)}`,
    },
  ];
}

function failed(
  { consumerId, state, isRun, isPaused, dead, late, lateMs }: ConsumerHealth,
  { limits }: Context,
): Finding[] {
  const id = shellWord(consumerId);
  const isStopped = state === 'stopped';
  const findings: Finding[] = [];
  if (dead > 0) {
    findings.push({
      level: 'problem',
      what:
        `${consumerId} has ${countOf(dead, 'dead letter')}` +
        `${isStopped ? ', and has stopped' : ''}.`,
      why: isStopped
        ? "With onDead: 'stop' it receives nothing new until each is retried or discarded."
        : 'They exhausted their attempts, and are not delivered until each is retried.',
      fix:
        `pgwatch dlq list --consumer ${id}; ` +
        `then pgwatch dlq retry, or discard, --consumer ${id}`,
    });
  }
  if (isRun && !isPaused && !isStopped && late > 0) {
    const by = formatDuration(lateMs ?? limits.retryLateMs);
    findings.push({
      level: 'problem',
      what:
        `${countOf(late, 'retry', 'retries')} of ${consumerId}, which is running, ` +
        `${late === 1 ? 'is' : 'are'} late, the oldest by ${by}.`,
      why: 'Its handlers are too slow for the load, or one hangs.',
      fix:
        `pgwatch status ${id} shows what it is doing; more concurrency, a shorter timeout, ` +
        "or instances: 'shared' help it keep up.",
    });
  }
  return findings;
}
