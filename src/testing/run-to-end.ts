import type { ConsumerDefinition } from '../consumers/define.ts';
import { PgwatchError } from '../errors.ts';
import type { Pgwatch } from '../service/pgwatch.ts';

/**
 * Runs a consumer until nothing is left for it.
 * @param skipWaits lets the time of its retries pass; returns how many there are
 * @throws PgwatchError consumer_invalid; handler_failed if it asks to be called again for ever
 */
export async function runToEnd(
  pgwatch: Pgwatch,
  consumer: ConsumerDefinition,
  skipWaits: () => Promise<number>,
): Promise<void> {
  for (let round = 1; round <= ROUNDS_MAX; round += 1) {
    const listening = await pgwatch.listen([consumer], { once: true });
    await listening.done.catch(unlessFailed);
    if ((await skipWaits()) === 0) return;
  }
  throw new PgwatchError(
    'handler_failed',
    `${consumer.id} still waits for retries after ${ROUNDS_MAX} rounds: ` +
      'does it throw RetryAfter each time?',
  );
}

function unlessFailed(thrown: unknown): void {
  if (!(thrown instanceof PgwatchError) || thrown.code !== 'handler_failed') throw thrown;
}

/** More than the attempts that a consumer has by default. */
const ROUNDS_MAX = 50;
