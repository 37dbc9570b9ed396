import { shellWord } from '../../shell-word.ts';
import { formatDuration, shortDuration } from '../../time.ts';
import { ageText, countOf, errorText } from '../../words.ts';
import type { Reason } from './decide.ts';
import type { FoundDelivery, Runner } from './facts.ts';

/** A reason as people read it, and the command that helps, if there is one. */
export type ReasonText = { sentence: string; advice: string | null };

type Obstacle = Extract<Reason, { code: 'paused' | 'not_running' | 'stopped' | 'overfull' }>;

/** Describes the reason for a notification at a consumer. */
export function describeReason(reason: Reason, id: number, consumerId: string): ReasonText {
  const fine = (sentence: string): ReasonText => ({ sentence, advice: null });
  const consumer = shellWord(consumerId);
  const replay = `pgwatch replay ${consumer} --id ${id}`;
  const retry = `pgwatch dlq retry ${id} --consumer ${consumer}`;
  switch (reason.code) {
    case 'done':
      return fine('It was handled.');
    case 'restored':
      return {
        sentence:
          'The position is past this id, but the log and the positions do not belong together, ' +
          'so whether it was handled is not known.',
        advice: 'pgwatch migrate rebase',
      };
    case 'gone':
      return fine('The consumer has no record of it.');
    case 'unregistered':
      return {
        sentence: 'The consumer is not registered, but a delivery of it is still stored.',
        advice: `pgwatch dlq show ${id} --consumer ${consumer}`,
      };
    case 'filtered':
      return fine(
        `The consumer does not read this channel; it reads ${reason.channels.join(', ')}.`,
      );
    case 'before_channel':
      return {
        sentence:
          'It was published before the consumer began to read this channel, at id ' +
          `${reason.fromId} (since ${time(reason.since)}). Only a replay delivers it.`,
        advice: replay,
      };
    case 'skipped':
      return {
        sentence: `It is older than the consumer, which began after it at ${time(reason.at)}.`,
        advice: replay,
      };
    case 'done_or_skipped':
      return {
        sentence:
          `It was handled, or skipped when the position was moved at ${time(reason.at)}; ` +
          'which of the two is not stored.',
        advice: replay,
      };
    case 'dead':
      return {
        sentence:
          `It has been a dead letter since ${at(reason.lastFailedAt)}, ` +
          `after ${countOf(reason.attempts, 'attempt')}: ${errorText(reason.lastError)}`,
        advice: retry,
      };
    case 'discarded':
      return {
        sentence: `It became a dead letter, which was discarded at ${time(reason.at)}.`,
        advice: reason.isInLog ? replay : null,
      };
    case 'backoff':
      return {
        sentence:
          `It failed, and is retried ${due(reason.nextAttemptAt)} ` +
          `(attempt ${reason.attempts + 1}): ${errorText(reason.lastError)}`,
        advice: retry,
      };
    case 'due':
      return fine(
        reason.lastError
          ? `It failed, and is due for attempt ${reason.attempts + 1}: ${errorText(reason.lastError)}`
          : `It is due for attempt ${reason.attempts + 1}.`,
      );
    case 'replay':
      return fine(`A replay of it is pending: it is delivered ${due(reason.nextAttemptAt)}.`);
    case 'blocked':
      return {
        sentence: reason.by
          ? `It waits for ${reason.by.id}, an earlier notification with its key, ${blockerText(reason.by)}`
          : 'It waited for an earlier notification with its key, and is delivered next.',
        advice: reason.by ? `pgwatch why ${reason.by.id} --consumer ${consumer}` : null,
      };
    case 'under_way':
      return fine(
        `${capital(runnerText(reason.runner))} is handling it (attempt ${reason.attempt}), ` +
          'or is about to.',
      );
    case 'leased':
      return fine(leasedText(reason));
    case 'late':
      return fine(
        'It was committed late, after the position had passed it; the next read finds it.',
      );
    case 'waiting':
      return fine(waitingText(reason));
    default:
      return describeObstacle(reason, consumer);
  }
}

/**
 * Describes what keeps all notifications from a consumer.
 * @param consumer its id as a word for a shell
 */
function describeObstacle(reason: Obstacle, consumer: string): ReasonText {
  const list = (state: string) => `pgwatch dlq list --state ${state} --consumer ${consumer}`;
  switch (reason.code) {
    case 'paused': {
      const until = reason.until ? reason.until.toISOString() : 'it is resumed';
      return {
        sentence: `The consumer has been paused since ${time(reason.since)}, until ${until}.`,
        advice: `pgwatch consumers resume ${consumer}`,
      };
    }
    case 'not_running': {
      const last = reason.runner
        ? `. The last to run it was ${runnerText(reason.runner)}, which has died`
        : '';
      return {
        sentence:
          'No daemon runs the consumer; its position was last saved ' +
          `${ageText(reason.seenAt)}${last}.`,
        advice: `pgwatch listen --consumers ${consumer}`,
      };
    }
    case 'stopped':
      return {
        sentence:
          `The consumer takes nothing new at ${runnerText(reason.runner)}: ` +
          'it stops at dead letters, and has one.',
        advice: list('dead'),
      };
    case 'overfull':
      return {
        sentence:
          `The consumer takes nothing new at ${runnerText(reason.runner)}: ` +
          'too many notifications wait for a retry.',
        advice: list('retry'),
      };
  }
}

function blockerText(by: FoundDelivery): string {
  const error = by.lastError ? `: ${errorText(by.lastError)}` : '.';
  if (by.state === 'blocked') return `which waits itself${error}`;
  if (by.isReplay) return `whose replay is due ${due(by.nextAttemptAt)}.`;
  return `which is retried ${due(by.nextAttemptAt)} (attempt ${by.attempts + 1})${error}`;
}

function leasedText({ earlier, runner }: Extract<Reason, { code: 'leased' }>): string {
  if (runner) {
    return `It was being handled by ${runnerText(runner)}, which has died; another process takes it.`;
  }
  return earlier > 0
    ? `It belongs to a lease that waits for ${countOf(earlier, 'earlier lease')} with the same keys.`
    : 'It belongs to a lease that the next free process takes.';
}

function waitingText(reason: Extract<Reason, { code: 'waiting' }>): string {
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

function runnerText({ host, pid }: Runner): string {
  return `process ${pid} on ${host}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function time(date: Date): string {
  return `${date.toISOString()} (${ageText(date)})`;
}

function at(date: Date | null): string {
  return date === null ? 'an unknown time' : time(date);
}

function due(date: Date | null): string {
  if (date === null) return 'when its turn comes';
  const waitMs = date.getTime() - Date.now();
  return waitMs > 0 ? `in ${shortDuration(waitMs)}` : 'as soon as possible';
}
