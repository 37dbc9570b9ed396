import type { Poison } from '../writers/transaction.ts';
import type { DeadLetter, Stored } from './history.ts';

/** What is wrong with the dead letters of a consumer, each with its error. */
export function checkDeadLetters(stored: readonly Stored[], deadLetters: readonly DeadLetter[]) {
  const poisons = new Map(stored.map(({ token, poison }) => [token, poison]));
  const ownError = (token: string) => ERRORS[poisons.get(token) ?? 'none'];
  const describe = ({ token, error }: DeadLetter) =>
    `${token} (${poisons.get(token) ?? 'no poison'}): ${error}`;
  const [ended, others] = [true, false].map((hasEnded) =>
    deadLetters.filter(({ error }) => error.startsWith(PROCESS_ENDED) === hasEnded),
  ) as [DeadLetter[], DeadLetter[]];
  return {
    wronglyDead: others.filter(({ token, error }) => !ownError(token)?.test(error)).map(describe),
    collateral: ended.filter(({ token }) => ownError(token) === null).map(describe),
  };
}

const PROCESS_ENDED = 'the process ended, PostgreSQL crashed, or the daemon stopped waiting';

/**
 * The error stored for each kind, unless its process has ended; null: it must be handled in the
 * end.
 */
const ERRORS: Record<Poison | 'none', RegExp | null> = {
  none: null,
  throws: /It throws/,
  'throws once': null,
  'throws until it is fixed': null,
  'asks to be called later': null,
  'is refused': /It is refused/,
  'never returns': /did not return within/,
  'loses its backend': /terminating connection|lost during the call/,
  kills: /^$/,
};
