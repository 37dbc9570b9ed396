import { shellWord } from '../../shell-word.ts';
import { formatDuration, shortDuration } from '../../time.ts';
import { ageText, countOf, errorText } from '../../words.ts';
import type { Reason } from './decide.ts';
import type { FoundDelivery, Runner } from './facts.ts';

/** What a reason says to people, and the command that helps, where one does. */
export type ReasonText = { sentence: string; advice: string | null };

type Obstacle = Extract<Reason, { code: 'paused' | 'not_running' | 'stopped' | 'overfull' }>;

/** Says a reason about a notification and a consumer. */
export function describeReason(reason: Reason, id: number, consumerId: string): ReasonText {
  const fine = (sentence: string): ReasonText => ({ sentence, advice: null });
  const consumer = shellWord(consumerId);
  switch (reason.code) {
    case 'done':
      return fine('It was handed out, and is done.');
    case 'restored':
      return {
        sentence:
          'Its position has passed this id, but the log and the positions do not belong together: whether it was handed out is not known.',
        advice: 'pgwatch migrate rebase',
      };
    case 'gone':
      return fine('It knows nothing of it.');
    case 'filtered':
      return fine(`It is on none of its channels: ${reason.channels.join(', ')}.`);
    case 'before_channel':
      return {
        sentence: `It was published before the consumer read this channel, which it does from id ${reason.fromId} on (since ${time(reason.since)}). It is delivered only by a replay.`,
        advice: `pgwatch replay ${consumer} --id ${id}`,
      };
    case 'skipped':
      return {
        sentence: `It was there before the consumer, which began behind it at ${time(reason.at)}.`,
        advice: `pgwatch replay ${consumer} --id ${id}`,
      };
    case 'done_or_skipped':
      return {
        sentence: `It is done, or was skipped when the position was moved at ${time(reason.at)}: which of the two is not known.`,
        advice: `pgwatch replay ${consumer} --id ${id}`,
      };
    case 'dead':
      return {
        sentence: `It is dead since ${at(reason.lastFailedMs)}, after ${countOf(reason.attempts, 'attempt')}: ${errorText(reason.lastError)}`,
        advice: `pgwatch dlq retry ${id} --consumer ${consumer}`,
      };
    case 'discarded':
      return {
        sentence: `It became a dead letter, which was discarded at ${time(reason.at)}.`,
        advice: reason.isInLog ? `pgwatch replay ${consumer} --id ${id}` : null,
      };
    case 'backoff':
      return {
        sentence: `It has failed, and is tried again ${due(reason.nextAttemptMs)} (attempt ${reason.attempts + 1}): ${errorText(reason.lastError)}`,
        advice: `pgwatch dlq retry ${id} --consumer ${consumer}`,
      };
    case 'due':
      return fine(
        reason.lastError
          ? `It has failed, and is due to be tried again (attempt ${reason.attempts + 1}): ${errorText(reason.lastError)}`
          : `It is due, as attempt ${reason.attempts + 1}.`,
      );
    case 'replay':
      return fine(
        `Somebody asked for it once more: it is handed out ${due(reason.nextAttemptMs)}.`,
      );
    case 'blocked':
      return {
        sentence: reason.by
          ? `It waits for ${reason.by.id}, an earlier one of its key, which ${blockerText(reason.by)}`
          : 'It has waited for an earlier one of its key, and is about to have its turn.',
        advice: reason.by ? `pgwatch why ${reason.by.id} --consumer ${consumer}` : null,
      };
    case 'under_way':
      return fine(
        `It is in the hands of ${runnerText(reason.runner)}, as attempt ${reason.attempt}, or about to be called.`,
      );
    case 'leased':
      return fine(leasedText(reason));
    case 'late':
      return fine('It was committed late, behind the position: the next read finds it.');
    case 'waiting':
      return fine(waitingText(reason));
    default:
      return describeObstacle(reason, consumer);
  }
}

/**
 * What keeps all notifications from a consumer.
 * @param consumer its id as a word for a shell
 */
function describeObstacle(reason: Obstacle, consumer: string): ReasonText {
  const list = (state: string) => `pgwatch dlq list --state ${state} --consumer ${consumer}`;
  switch (reason.code) {
    case 'paused':
      return {
        sentence: `The consumer is paused since ${time(reason.since)}, until ${reason.until ? reason.until.toISOString() : 'somebody resumes it'}.`,
        advice: `pgwatch consumers resume ${consumer}`,
      };
    case 'not_running':
      return {
        sentence: `No daemon runs the consumer; its position was last saved ${ageText(reason.seenAt)}${reason.runner ? `. It was last run by ${runnerText(reason.runner)}, which has died` : ''}.`,
        advice: `pgwatch listen --consumers ${consumer}`,
      };
    case 'stopped':
      return {
        sentence: `The consumer takes nothing new at ${runnerText(reason.runner)}: it stops at dead letters, and has one.`,
        advice: list('dead'),
      };
    case 'overfull':
      return {
        sentence: `The consumer takes nothing new at ${runnerText(reason.runner)}: too much waits for a retry.`,
        advice: list('retry'),
      };
  }
}

function blockerText(by: FoundDelivery): string {
  const error = by.lastError ? `: ${errorText(by.lastError)}` : '.';
  if (by.state === 'blocked') return `waits itself${error}`;
  if (by.isReplay) return `is handed out once more ${due(by.nextAttemptMs)}.`;
  return `is tried again ${due(by.nextAttemptMs)} (attempt ${by.attempts + 1})${error}`;
}

function leasedText({ earlier, runner }: Extract<Reason, { code: 'leased' }>): string {
  if (runner)
    return `It was in the hands of ${runnerText(runner)}, which has died: another takes it.`;
  return earlier > 0
    ? `It is part of work that nobody has taken, behind ${countOf(earlier, 'earlier part')} with keys like its own.`
    : 'It is part of work that the next process takes.';
}

function waitingText(reason: Extract<Reason, { code: 'waiting' }>): string {
  const { ahead, isExact, reachedId, rate, mayBeUnderWay, isStill } = reason;
  const hand = mayBeUnderWay ? ', and it may be in the page that is worked on now' : '';
  const still = isStill
    ? '. Nothing was finished in the last ten seconds: a handler may hang until its timeout'
    : '';
  const position = `the position is at ${reachedId}${hand}${still}`;
  if (ahead === 0) return `It is the next: ${position}.`;
  const left = rate
    ? `, at ${rate.toLocaleString('en')} a second ${formatDuration((ahead / rate) * 1000)}`
    : '';
  return `It waits behind ${isExact ? '' : 'more than '}${countOf(ahead, 'other')}${left}: ${position}.`;
}

function runnerText({ host, pid }: Runner): string {
  return `process ${pid} on ${host}`;
}

function time(date: Date): string {
  return `${date.toISOString()} (${ageText(date)})`;
}

function at(ms: number | null): string {
  return ms === null ? 'some time' : time(new Date(ms));
}

function due(ms: number | null): string {
  if (ms === null) return 'when its turn comes';
  const waitMs = Math.round(ms - Date.now());
  return waitMs > 0 ? `in ${shortDuration(waitMs)}` : 'as soon as it can be';
}
