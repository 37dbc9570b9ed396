import type { Client } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { onOneLine } from '../../lines.ts';
import { type SeekTarget, type Sought, seekPosition } from '../../log/by-hand/seek.ts';
import { planSeek, type SeekPlan } from '../../log/by-hand/seek-plan.ts';
import { countOf } from '../../words.ts';
import { confirm } from '../confirm.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { describePlan } from './describe.ts';
import type { SeekOptions } from './options.ts';

/**
 * Prints what moving the position would do, and moves it after asking for confirmation.
 * @throws PgwatchError consumer_running while a daemon runs the consumer, unless --live is given;
 *   consumer_changed if something else has moved it meanwhile; usage if the target is in the future
 */
export async function seek(
  consumerId: string,
  options: SeekOptions,
  outcome: CommandResult,
): Promise<void> {
  const reporter = reporterFor(options);
  await withDatabase(
    options,
    { mode: 'change', consumers: [consumerId] },
    async (client, { schema }) => {
      const plan = await planSeek(client, schema, { consumerId, to: options.to });
      requireReached(options.to, plan);
      if (!options.json) process.stdout.write(`${describePlan(consumerId, plan, options)}\n`);
      if (options.dryRun) {
        if (options.json) printJson(toJson(consumerId, plan, null));
        return;
      }
      if (plan.isLive && !options.live) throw running(consumerId);
      const question = `Move ${onOneLine(consumerId)} from ${plan.fromId} to ${plan.toId}?`;
      if (!(await confirm(question, options, { outcome, reporter }))) return;
      const { plan: done, sought } = await move(client, schema, consumerId, options, plan);
      if (options.json) return printJson(toJson(consumerId, done, sought));
      reporter.info(`Moved ${consumerId} from ${done.fromId} to ${sought.doneId}.`);
      if (sought.reread > 0) {
        const what = countOf(sought.reread, 'notification');
        const was = sought.reread === 1 ? 'was' : 'were';
        reporter.info(
          `${what} that waited for a retry, or ${was} dead, will be delivered in turn.`,
        );
      }
      if (!done.isLive) reporter.info('No daemon runs it: "pgwatch listen" continues from there.');
    },
  );
}

/** Moves the position. With --live it tries again if a daemon takes the consumer over. */
async function move(
  client: Client,
  schema: string,
  consumerId: string,
  { to, live }: SeekOptions,
  first: SeekPlan,
): Promise<{ plan: SeekPlan; sought: Sought }> {
  let plan = first;
  for (let attempt = 1; attempt <= (live ? ATTEMPTS_MAX : 1); attempt++) {
    if (plan.isLive && !live) throw running(consumerId);
    const seen = { consumerId, to, seenEpoch: plan.epoch, mode: live ? 'live' : 'idle' } as const;
    const sought = await seekPosition(client, schema, seen);
    if (sought) return { plan, sought };
    plan = await planSeek(client, schema, { consumerId, to });
  }
  throw plan.isLive && !live ? running(consumerId) : changed(consumerId);
}

/** Refuses a target that does not exist yet: probably a typo, and it would skip everything. */
function requireReached(to: SeekTarget, { newestId }: SeekPlan): void {
  const isAhead =
    to instanceof Date
      ? to.getTime() > Date.now()
      : typeof to === 'number' && to > (newestId ?? 0) + 1;
  if (!isAhead) return;
  const asked =
    to instanceof Date
      ? `${to.toISOString()} is in the future`
      : `There is no notification ${to} yet`;
  const newest = newestId === null ? 'the log is empty' : `the newest notification is ${newestId}`;
  throw new PgwatchError('usage', `${asked}: ${newest}. To skip everything, use --to now.`);
}

function running(consumerId: string): PgwatchError {
  return new PgwatchError(
    'consumer_running',
    `A daemon runs ${consumerId}: stop it, pause the consumer, or pass --live to move it anyway. ` +
      'Notifications being handled at that moment may be delivered again.',
  );
}

function changed(consumerId: string): PgwatchError {
  return new PgwatchError(
    'consumer_changed',
    `${consumerId} has changed since the plan was made, by another seek, a replay or a takeover. ` +
      'Nothing was moved; run the command again for a new plan.',
  );
}

function toJson(consumerId: string, plan: SeekPlan, sought: Sought | null) {
  const { epoch: _, ...shown } = plan;
  const toId = sought?.doneId ?? plan.toId;
  const moved = sought && { reread: sought.reread, released: sought.released };
  return { consumerId, dryRun: sought === null, ...shown, toId, ...moved };
}

const ATTEMPTS_MAX = 5;
