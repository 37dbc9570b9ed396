import type { ClientBase } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { type SeekTarget, type Sought, seekPosition } from '../../log/by-hand/seek.ts';
import { planSeek, type SeekPlan } from '../../log/by-hand/seek-plan.ts';

/** Which consumer to move, where to, and whether it may be running. */
export type SeekRequest = { consumerId: string; to: SeekTarget; live: boolean };

/** What a seek has done; with dryRun, what it would do. */
export type SeekReport = Omit<SeekPlan, 'epoch'> & {
  consumerId: string;
  dryRun: boolean;
  /** How many that waited for a retry, or were dead, are delivered in turn. Unless dryRun. */
  reread?: number;
  /** How many were leased and not done, and are delivered again. Unless dryRun. */
  released?: number;
};

/**
 * Reads what moving a position would do.
 * @throws PgwatchError usage if the target does not exist yet: probably a typo, and it would skip
 *   everything
 */
export async function planMove(
  client: ClientBase,
  schema: string,
  { consumerId, to }: Pick<SeekRequest, 'consumerId' | 'to'>,
): Promise<SeekPlan> {
  const plan = await planSeek(client, schema, { consumerId, to });
  const { newestId } = plan;
  const isAhead =
    to instanceof Date
      ? to.getTime() > Date.now()
      : typeof to === 'number' && to > (newestId ?? 0) + 1;
  if (!isAhead) return plan;
  const asked =
    to instanceof Date
      ? `${to.toISOString()} is in the future`
      : `There is no notification ${to} yet`;
  const newest = newestId === null ? 'the log is empty' : `the newest notification is ${newestId}`;
  throw new PgwatchError('usage', `${asked}: ${newest}. To skip everything, seek to now.`);
}

/**
 * Moves the position as planned. A live one is tried again if a daemon takes the consumer over.
 * @throws PgwatchError consumer_running while a daemon runs the consumer, unless live;
 *   consumer_changed if something else has moved it since the plan was made
 */
export async function move(
  client: ClientBase,
  schema: string,
  { consumerId, to, live }: SeekRequest,
  first: SeekPlan,
): Promise<{ plan: SeekPlan; sought: Sought }> {
  let plan = first;
  for (let attempt = 1; attempt <= (live ? ATTEMPTS_MAX : 1); attempt++) {
    requireIdle(consumerId, plan, live);
    const seen = { consumerId, to, seenEpoch: plan.epoch, mode: live ? 'live' : 'idle' } as const;
    const sought = await seekPosition(client, schema, seen);
    if (sought) return { plan, sought };
    plan = await planSeek(client, schema, { consumerId, to });
  }
  requireIdle(consumerId, plan, live);
  throw new PgwatchError(
    'consumer_changed',
    `${consumerId} has changed since the plan was made, by another seek, a replay or a takeover. ` +
      'Nothing was moved: seek again for a new plan.',
  );
}

/** @throws PgwatchError consumer_running while a daemon runs the consumer, unless live */
export function requireIdle(consumerId: string, { isLive }: SeekPlan, live: boolean): void {
  if (!isLive || live) return;
  throw new PgwatchError(
    'consumer_running',
    `A daemon runs ${consumerId}: stop it, pause the consumer, or pass --live (in code: live) to ` +
      'move it anyway. Notifications being handled at that moment may be delivered again.',
  );
}

/** @param sought null if nothing was moved */
export function seekReport(
  consumerId: string,
  plan: SeekPlan,
  sought: Sought | null = null,
): SeekReport {
  const { epoch: _, ...shown } = plan;
  const toId = sought?.doneId ?? plan.toId;
  const moved = sought && { reread: sought.reread, released: sought.released };
  return { consumerId, dryRun: sought === null, ...shown, toId, ...moved };
}

const ATTEMPTS_MAX = 5;
