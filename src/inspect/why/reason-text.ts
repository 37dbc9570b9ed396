import { shellWord } from '../../shell-word.ts';
import { formatDuration, shortDuration } from '../../time.ts';
import { ageText, countOf, errorText } from '../../words.ts';
import type { Reason } from './decide.ts';
import type { FoundDelivery, Runner } from './facts.ts';

/** A reason as people read it, and the command that helps, if there is one. */
export type ReasonText = { sentence: string; advice: string | null };

/** Describes the reason for a notification at a consumer. */
export function describeReason(reason: Reason, id: number, consumerId: string): ReasonText {
  const describe = TEXTS[reason.code] as (reason: Reason, commands: Commands) => Said;
  const said = describe(reason, commandsFor(id, shellWord(consumerId)));
  const [sentence, advice = null] = typeof said === 'string' ? [said] : said;
  return { sentence, advice };
}

/** A sentence, and the command that helps, if there is one. */
type Said = string | [sentence: string, advice: string | null];

type Of<Code extends Reason['code']> = Extract<Reason, { code: Code }>;

type Commands = ReturnType<typeof commandsFor>;

/** @param consumer its id as a word for a shell */
function commandsFor(id: number, consumer: string) {
  return {
    replay: `pgwatch replay ${consumer} --id ${id}`,
    retry: `pgwatch dlq retry ${id} --consumer ${consumer}`,
    discard: `pgwatch dlq discard ${id} --consumer ${consumer}`,
    show: `pgwatch dlq show ${id} --consumer ${consumer}`,
    why: (other: number) => `pgwatch why ${other} --consumer ${consumer}`,
    list: (state: string) => `pgwatch dlq list --state ${state} --consumer ${consumer}`,
    resume: `pgwatch consumers resume ${consumer}`,
    listen: `pgwatch listen --consumers ${consumer}`,
  };
}

const TEXTS: {
  [Code in Reason['code']]: (reason: Of<Code>, commands: Commands) => Said;
} = {
  done: () => 'It was handled.',
  restored: () => [
    'The position is past this id, but the log and the positions do not belong together, ' +
      'so whether it was handled is not known.',
    'pgwatch migrate rebase',
  ],
  gone: () => 'The consumer has no record of it.',
  unregistered: (_, { show }) => [
    'The consumer is not registered, but a delivery of it is still stored.',
    show,
  ],
  filtered: ({ channels }) =>
    `The consumer does not read this channel; it reads ${channels.join(', ')}.`,
  before_channel: ({ fromId, since }, { replay }) => [
    'It was published before the consumer began to read this channel, at id ' +
      `${fromId} (since ${time(since)}). Only a replay delivers it.`,
    replay,
  ],
  skipped: ({ at }, { replay }) => [
    `It is older than the consumer, which began after it at ${time(at)}.`,
    replay,
  ],
  done_or_skipped: ({ at }, { replay }) => [
    `It was handled, or skipped when the position was moved at ${time(at)}; ` +
      'which of the two is not stored.',
    replay,
  ],
  dead: ({ lastFailedAt, attempts, lastError, isGone }, { retry, discard }) => [
    `It has been a dead letter since ${lastFailedAt ? time(lastFailedAt) : 'an unknown time'}, ` +
      `after ${countOf(attempts, 'attempt')}: ${errorText(lastError)}`,
    // A forced cleanup has removed what the owner had read.
    isGone ? discard : retry,
  ],
  discarded: ({ at, isInLog }, { replay }) => [
    `It became a dead letter, which was discarded at ${time(at)}.`,
    isInLog ? replay : null,
  ],
  backoff: ({ nextAttemptAt, attempts, lastError }, { retry }) => [
    `It failed, and is retried ${due(nextAttemptAt)} (attempt ${attempts + 1}): ` +
      errorText(lastError),
    retry,
  ],
  due: ({ attempts, lastError }) =>
    lastError
      ? `It failed, and is due for attempt ${attempts + 1}: ${errorText(lastError)}`
      : `It is due for attempt ${attempts + 1}.`,
  replay: ({ nextAttemptAt }) =>
    `A replay of it is pending: it is delivered ${due(nextAttemptAt)}.`,
  blocked: ({ by }, { why }) =>
    by
      ? [
          `It waits for ${by.id}, an earlier notification with its key, ${blockerText(by)}`,
          why(by.id),
        ]
      : 'It waited for an earlier notification with its key, and is delivered next.',
  under_way: ({ runner, attempt }) =>
    `Process ${placeOf(runner)} is handling it (attempt ${attempt}), or is about to.`,
  leased: leasedText,
  late: () => 'It was committed late, after the position had passed it; the next read finds it.',
  waiting: waitingText,
  paused: ({ since, until }, { resume }) => [
    `The consumer has been paused since ${time(since)}, ` +
      `until ${until ? until.toISOString() : 'it is resumed'}.`,
    resume,
  ],
  not_running: ({ seenAt, runner }, { listen }) => [
    `No daemon runs the consumer; its position was last saved ${ageText(seenAt)}` +
      `${runner ? `. The last to run it was process ${placeOf(runner)}, which has died` : ''}.`,
    listen,
  ],
  stopped: ({ runner }, { list }) => [
    `The consumer takes nothing new at process ${placeOf(runner)}: ` +
      'it stops at dead letters, and has one.',
    list('dead'),
  ],
  overfull: ({ runner }, { list }) => [
    `The consumer takes nothing new at process ${placeOf(runner)}: ` +
      'too many notifications wait for a retry.',
    list('retry'),
  ],
};

function blockerText(by: FoundDelivery): string {
  const error = by.lastError ? `: ${errorText(by.lastError)}` : '.';
  if (by.calledAttempt !== null) return `which is being handled (attempt ${by.calledAttempt}).`;
  if (by.state === 'blocked') return `which waits itself${error}`;
  if (by.isReplay) return `whose replay is due ${due(by.nextAttemptAt)}.`;
  return `which is retried ${due(by.nextAttemptAt)} (attempt ${by.attempts + 1})${error}`;
}

function leasedText({ earlier, runner }: Of<'leased'>): string {
  if (runner) {
    return (
      `It was being handled by process ${placeOf(runner)}, which has died; ` +
      'another process takes it.'
    );
  }
  if (earlier === 0) return 'It belongs to a lease that the next free process takes.';
  const leases = countOf(earlier, 'earlier lease');
  return `It belongs to a lease that waits for ${leases} with the same keys.`;
}

function waitingText(reason: Of<'waiting'>): string {
  const { ahead, isExact, reachedId, rate, mayBeUnderWay, isStill } = reason;
  const page = mayBeUnderWay ? ', and it may be in the page being handled now' : '';
  const still = isStill
    ? '. Nothing was finished in the last ten seconds: a handler may hang until its timeout'
    : '';
  const position = `the position is at ${reachedId}${page}${still}`;
  if (ahead === 0) return `It is the next: ${position}.`;
  const left = rate
    ? `, at ${rate.toLocaleString('en')} a second ${formatDuration((ahead / rate) * 1000)}`
    : '';
  const others = `${isExact ? '' : 'more than '}${countOf(ahead, 'other')}`;
  return `It waits for ${others} to be delivered${left}: ${position}.`;
}

function placeOf({ host, pid }: Runner): string {
  return `${pid} on ${host}`;
}

function time(date: Date): string {
  return `${date.toISOString()} (${ageText(date)})`;
}

function due(date: Date | null): string {
  if (date === null) return 'when its turn comes';
  const waitMs = date.getTime() - Date.now();
  return waitMs > 0 ? `in ${shortDuration(waitMs)}` : 'as soon as possible';
}
