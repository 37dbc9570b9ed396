import { countOf } from '../words.ts';
import type { ConsumerView } from './consumer-view.ts';
import type { Status } from './status.ts';

/** Limits beyond which a consumer is reported; null: no limit. */
export type StatusLimits = {
  maxLag: number | null;
  maxAgeMs: number | null;
  maxDead: number | null;
};

/** Something that needs attention. */
export type StatusFinding = { consumerId: string; kind: FindingKind; message: string };

export type FindingKind = 'not_running' | 'stopped' | 'retrying' | 'lag' | 'age' | 'dead';

/**
 * Finds what is wrong: consumers that are not running although they are not paused; consumers that
 * take nothing new, because of a dead letter or because too many notifications wait for a retry;
 * and consumers beyond the limits, including paused ones.
 */
export function findingsOf({ at, consumers }: Status, limits: StatusLimits): StatusFinding[] {
  return consumers.flatMap((consumer) =>
    judge(consumer, limits, at).map((found) => ({ consumerId: consumer.consumerId, ...found })),
  );
}

function judge(
  view: ConsumerView,
  limits: StatusLimits,
  at: Date,
): Omit<StatusFinding, 'consumerId'>[] {
  const { state, unread, isExact, oldestAt, dead } = view;
  const ageMs = oldestAt ? at.getTime() - oldestAt.getTime() : 0;
  const { maxLag, maxAgeMs, maxDead } = limits;
  const findings: Omit<StatusFinding, 'consumerId'>[] = [];
  const add = (kind: FindingKind, message: string) => findings.push({ kind, message });
  if (state === 'not running') {
    add('not_running', 'no daemon runs it, although it is not paused');
  }
  if (state === 'stopped') {
    const letters = dead > 1 ? `${grouped(dead)} dead letters` : 'a dead letter';
    const until = dead > 1 ? 'they are' : 'that is';
    add('stopped', `stopped at ${letters}, until ${until} retried or discarded`);
  }
  if (state === 'retrying') {
    add(
      'retrying',
      `takes nothing new: ${countOf(view.retrying, 'notification')} waiting for a retry`,
    );
  }
  if (maxLag !== null && unread > maxLag) {
    const count = `${isExact ? '' : 'about '}${grouped(unread)}`;
    add('lag', `${count} unread, more than ${grouped(maxLag)}${pauseOf(view)}`);
  }
  if (maxAgeMs !== null && ageMs > maxAgeMs) {
    const text = `the oldest unread is ${seconds(ageMs)} old, more than ${seconds(maxAgeMs)}`;
    add('age', `${text}${pauseOf(view)}`);
  }
  if (maxDead !== null && dead > maxDead) {
    add('dead', `${countOf(dead, 'dead letter')}, more than ${grouped(maxDead)}`);
  }
  return findings;
}

function pauseOf({ pausedAt }: ConsumerView): string {
  return pausedAt ? ` (paused since ${pausedAt.toISOString()})` : '';
}

function grouped(count: number): string {
  return count.toLocaleString('en');
}

/** Always in seconds, so that two values are easy to compare. */
function seconds(ms: number): string {
  return `${(Math.floor(ms / 100) / 10).toLocaleString('en')} s`;
}
