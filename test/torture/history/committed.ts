import type { History } from './history.ts';

/**
 * Those whose writers say so, unless the server has lost them since; and if it is not known, those
 * in the log.
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

/** Committed, and not in the log. */
export function goneFromLog({ stored }: History, committed: ReadonlySet<string>): string[] {
  const inLog = new Set(stored.map(({ token }) => token));
  return [...committed].filter((token) => !inLog.has(token)).map((token) => `log: ${token}`);
}

/** Seen anywhere, and not committed. */
export function findPhantoms(history: History, committed: ReadonlySet<string>): string[] {
  const { handlings, stored, effects } = history;
  const takenBack = new Set(history.takenBack);
  const seen = [
    ...stored.map(({ token }) => `log: ${token}`),
    // Handled before the server lost it, perhaps.
    ...handlings
      .filter(({ token }) => !takenBack.has(token))
      .map(({ consumer, token }) => `${consumer}: ${token}`),
    ...effects.map(({ consumer, token }) => `${consumer}: ${token}`),
  ];
  return [...new Set(seen)].filter((text) => !committed.has(text.slice(text.indexOf(' ') + 1)));
}
