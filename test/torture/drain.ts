import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ByHand } from './history/by-hand.ts';
import { check } from './history/check.ts';
import type { Attempt, DeadLetter, Effect, Handling, History, Stored } from './history/history.ts';
import { RecordReader } from './history/record.ts';
import type { World } from './world.ts';

/**
 * Waits until nothing is missing: pgwatch has to recover by itself. It may take long as long as it
 * makes progress, as on a busy machine, but it must not be stuck for long.
 * @returns what is still missing
 */
export async function drain(world: World): Promise<readonly string[]> {
  const quietMax = world.isMutant ? MUTANT_QUIET_MS : QUIET_MS;
  for (let quietSince = performance.now(), through = -1; ; ) {
    const history = await readHistory(world);
    const { lost } = check(history);
    const now = performance.now();
    // Repeated calls of one notification are not progress.
    const calls = new Set(history.handlings.map(({ consumer, token }) => `${consumer} ${token}`));
    const got = calls.size + history.deadLetters.length;
    if (got !== through) quietSince = now;
    through = got;
    if (lost.length === 0 || now - quietSince > quietMax) return lost;
    await delay(200);
  }
}

/** Everything known about the round so far. */
export async function readHistory(world: World): Promise<History> {
  const read = <Entry>(name: string) =>
    new RecordReader<Entry>(join(world.folder, `${name}.jsonl`)).refresh();
  const stored = await world.query<Stored>(
    `select payload->>'token' as token, key, (payload->>'sequence')::int as sequence,
       payload->>'poison' as poison
     from torture.stored order by id`,
  );
  const effects = await world.query<Effect>(
    'select consumer, token from torture.effect order by effect_id',
  );
  const deadLetters = await world.query<DeadLetter>(
    `select consumer_id as consumer, log.payload->>'token' as token,
       last_error->>'message' as error
     from pgwatch.delivery join torture.stored as log on id = notification_id
     where state = 'dead'`,
  );
  const byHand = await world.query<ByHand>('select consumer, token, what from torture.by_hand');
  const setbacks = await world.query<{ text: string }>('select text from torture.setback');
  return {
    consumers: world.consumers.map(({ id, promised }) => ({ id, ...promised })),
    attempts: lastOf(read<Attempt>('attempts')),
    handlings: read<Handling>('handlings'),
    stored,
    effects,
    deadLetters,
    byHand,
    setbacks: setbacks.map(({ text }) => text),
    takenBack: read<{ token: string }>('taken-back').map(({ token }) => token),
  };
}

/** A writer records 'unknown' before COMMIT, and the outcome after it: the last entry counts. */
function lastOf(attempts: readonly Attempt[]): Attempt[] {
  return [...new Map(attempts.map((attempt) => [attempt.token, attempt])).values()];
}

/** More than the longest wait before a daemon reconnects. */
const QUIET_MS = 40_000;
/** What a mutant has lost never comes. What is only late does come, and must not count as lost. */
const MUTANT_QUIET_MS = 5000;
