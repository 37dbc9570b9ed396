import { PgwatchError } from '../errors.ts';
import type { LeftUndone } from '../log/positions/left-undone.ts';
import { shellWord } from '../shell-word.ts';
import { formatDuration } from '../time.ts';
import { countOf } from '../words.ts';

/** How a consumer got on in a run to the end. */
export type Ran = {
  failedCount: number;
  /** A dead letter has stopped it. */
  isHalted: boolean;
};

/**
 * Why a run to the end has not done everything.
 * @param ran those that this process ran
 * @returns null if it has
 */
export function onceError(
  ran: ReadonlyMap<string, Ran>,
  left: readonly LeftUndone[],
): PgwatchError | null {
  const failed = [...ran].filter(([, { failedCount }]) => failedCount > 0);
  const told = left.flatMap((each) => {
    const parts = waitingParts(each, ran.get(each.consumerId));
    return parts.length > 0 ? [`${each.consumerId}: ${parts.join(', ')}`] : [];
  });
  if (failed.length === 0 && told.length === 0) return null;
  const counts = failed.map(([id, { failedCount }]) => `${failedCount} of ${id}`);
  const sentences = [
    ...(failed.length > 0 ? [`Notifications failed: ${counts.join(', ')}.`] : []),
    ...(told.length > 0 ? [`Still waiting: ${told.join('; ')}.`] : []),
    'pgwatch dlq list --state all shows what has failed, and pgwatch status who runs what.',
  ];
  return new PgwatchError('handler_failed', sentences.join(' '));
}

function waitingParts(left: LeftUndone, ran: Ran | undefined): string[] {
  const { consumerId, retrying, nextAttemptAt, blocked, isPaused, pausedUntil } = left;
  const { runner, leased, unread } = left;
  const unreadText = `${countOf(unread, 'notification')} unread`;
  const parts: string[] = [];
  if (retrying > 0) {
    const until = nextAttemptAt ? `, the next until ${untilText(nextAttemptAt)}` : '';
    parts.push(`${countOf(retrying, 'notification')} for a retry${until}`);
  }
  if (blocked > 0)
    parts.push(`${countOf(blocked, 'notification')} behind an earlier one of its key`);
  if (leased > 0) parts.push(`${countOf(leased, 'notification')} at other processes that share it`);
  if (ran?.isHalted) parts.push('it stops at a dead letter (onDead)');
  // What was published while it ran is not its concern, unless it did not get that far.
  if (unread === 0) return parts;
  if (isPaused) {
    const until = pausedUntil
      ? untilText(pausedUntil)
      : `"pgwatch consumers resume ${shellWord(consumerId)}"`;
    parts.push(`${unreadText}, and it is paused until ${until}`);
  } else if (runner) {
    parts.push(`${unreadText}, and process ${runner.pid} on ${runner.host} runs it`);
  } else if (!ran) {
    parts.push(`${unreadText}, and it was not taken over`);
  }
  return parts;
}

/** '2026-11-30T06:00:00.000Z (in 59 min 30 s)'. */
function untilText(time: Date): string {
  return `${time.toISOString()} (in ${formatDuration(Math.max(0, time.getTime() - Date.now()))})`;
}
