import type { Poison } from '../writers/transaction.ts';
import type { DeadLetter, Stored } from './history.ts';

/**
 * The dead letters of a consumer that should be none, and those whose error is not theirs. That the
 * process ended during the last call may befall any of the poisonous ones.
 */
export function findWronglyDead(
  stored: readonly Stored[],
  deadLetters: readonly DeadLetter[],
): string[] {
  const poisons = new Map(stored.map(({ token, poison }) => [token, poison]));
  return deadLetters
    .filter(({ token, error }) => {
      const poison = poisons.get(token);
      const expected = poison && ERRORS[poison];
      return !expected?.test(error);
    })
    .map(({ token, error }) => `${token} (${poisons.get(token) ?? 'no poison'}): ${error}`);
}

const PROCESS_ENDED = 'the process ended while the handler was called';

/** What is kept of each kind; null: it has to be handled in the end. */
const ERRORS: Record<Poison, RegExp | null> = {
  throws: new RegExp(`It throws|${PROCESS_ENDED}`),
  'throws once': null,
  'throws until it is mended': null,
  'never returns': new RegExp(`did not return within|${PROCESS_ENDED}`),
  kills: new RegExp(PROCESS_ENDED),
};
