import type { History } from './history.ts';

/**
 * The tokens whose writers say so, unless the server has lost them since. If the outcome is
 * unknown, those in the log.
 */
export function committedTokens({ attempts, stored, takenBack }: History): Set<string> {
  const inLog = new Set(stored.map(({ token }) => token));
  const uncertain = new Set(takenBack);
  return new Set(
    attempts
      .filter(({ token, outcome }) =>
        outcome === 'unknown' || uncertain.has(token) ? inLog.has(token) : outcome === 'committed',
      )
      .map(({ token }) => token),
  );
}

/** Committed, but not in the log. */
export function goneFromLog({ stored }: History, committed: ReadonlySet<string>): string[] {
  const inLog = new Set(stored.map(({ token }) => token));
  return [...committed].filter((token) => !inLog.has(token)).map((token) => `log: ${token}`);
}

/** Seen anywhere, but not committed. */
export function findPhantoms(history: History, committed: ReadonlySet<string>): string[] {
  const { handlings, stored, effects } = history;
  const takenBack = new Set(history.takenBack);
  const seen = [
    ...stored.map(({ token }) => `log: ${token}`),
    // They may have been handled before the server lost them.
    ...handlings
      .filter(({ token }) => !takenBack.has(token))
      .map(({ consumer, token }) => `${consumer}: ${token}`),
    ...effects.map(({ consumer, token }) => `${consumer}: ${token}`),
  ];
  return [...new Set(seen)].filter((text) => !committed.has(text.slice(text.indexOf(' ') + 1)));
}
