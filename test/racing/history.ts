/** What a writer tried to publish: a unique token, and how its transaction ended. */
export type Attempt = { token: string; outcome: 'committed' | 'aborted' | 'unknown' };

export type Verdict = {
  committed: number;
  delivered: number;
  /** Committed and never delivered. */
  lost: string[];
  /** Delivered although its transaction was aborted. */
  phantom: string[];
  /** Deliveries beyond the first. */
  duplicates: number;
  /** First delivered after a later one of its key. */
  inversions: string[];
};

/**
 * Compares what was written with what was delivered. Both are recorded outside the database. A
 * token is `key/sequence`; a key's tokens are committed in the order of their sequence.
 */
export function judge(attempts: readonly Attempt[], deliveries: readonly string[]): Verdict {
  const seen = new Set(deliveries);
  const aborted = new Set(attempts.filter((a) => a.outcome === 'aborted').map((a) => a.token));
  const committed = attempts.filter((a) => a.outcome === 'committed').map((a) => a.token);
  const newest = new Map<string, number>();
  const inversions: string[] = [];
  for (const token of seen) {
    const [key = '', sequence] = token.split('/');
    if (Number(sequence) < (newest.get(key) ?? 0)) inversions.push(token);
    newest.set(key, Math.max(newest.get(key) ?? 0, Number(sequence)));
  }
  return {
    committed: committed.length,
    delivered: seen.size,
    lost: committed.filter((token) => !seen.has(token)),
    phantom: [...seen].filter((token) => aborted.has(token)),
    duplicates: deliveries.length - seen.size,
    inversions,
  };
}

/** One line with the numbers. */
export function describeVerdict(what: string, verdict: Verdict): string {
  const { committed, delivered, lost, phantom, duplicates, inversions } = verdict;
  return (
    `${what}: committed ${committed}, delivered ${delivered}, lost ${lost.length}, ` +
    `phantom ${phantom.length}, duplicates ${duplicates}, inversions ${inversions.length}`
  );
}
