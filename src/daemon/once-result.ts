import { PgwatchError } from '../errors.ts';
import type { LeftUndone } from '../log/positions/left-undone.ts';
import { shellWord } from '../shell-word.ts';
import { formatDuration } from '../time.ts';
import { countOf } from '../words.ts';

/** What became of a consumer in a run with --once. */
export type Ran = {
  failedCount: number;
  /** True if a dead letter has stopped it. */
  isHalted: boolean;
  /** True if it was paused, moved or taken over before it got to the end. */
  isCutShort: boolean;
};

/**
 * Why a run with --once has not done everything.
 * @param ran the consumers that this process ran
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
    '"pgwatch dlq list --state all" shows what failed, "pgwatch status" which process runs what.',
  ];
  return new PgwatchError('handler_failed', sentences.join(' '));
}

function waitingParts(left: LeftUndone, ran: Ran | undefined): string[] {
  const { consumerId, retrying, nextAttemptAt, blocked, isPaused, pausedUntil } = left;
  const { runner, leased, unread } = left;
  const unreadText = `${countOf(unread, 'notification')} unread`;
  const parts: string[] = [];
  if (retrying > 0) {
    const until = nextAttemptAt ? `, the next at ${untilText(nextAttemptAt)}` : '';
    parts.push(`${countOf(retrying, 'notification')} for a retry${until}`);
  }
  if (blocked > 0)
    parts.push(`${countOf(blocked, 'notification')} blocked by an earlier one of its key`);
  if (leased > 0) {
    parts.push(`${countOf(leased, 'notification')} leased by other processes that share it`);
  }
  if (ran?.isHalted) parts.push('a dead letter has stopped it (onDead)');
  // What a consumer that ran to the end has unread was published meanwhile, and does not count.
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
  } else if (ran.isCutShort) {
    parts.push(`${unreadText}, because it was paused, moved or taken over during the run`);
  }
  return parts;
}

/** '2026-11-30T06:00:00.000Z (in 59 min 30 s)'. */
function untilText(time: Date): string {
  return `${time.toISOString()} (in ${formatDuration(Math.max(0, time.getTime() - Date.now()))})`;
}
