/**
 * A manual operation on a notification of a consumer. skipped: a seek has passed it unread; again:
 * a seek has gone back before it; replayed: it was filed to come again; taken back: that was
 * cancelled before it came.
 */
export type ByHand = {
  consumer: string;
  token: string;
  what: 'skipped' | 'again' | 'replayed' | 'taken back';
};

/** What a consumer with exactly-once effects may have missed, or had more often. */
export class HandMade {
  readonly skipped: ReadonlySet<string>;
  readonly #byHand: readonly ByHand[];

  constructor(byHand: readonly ByHand[]) {
    this.#byHand = byHand;
    this.skipped = new Set(this.#tokens('skipped'));
  }

  /** The effects, or other items that are over, without requested repetitions. */
  withoutRepeated(items: readonly string[]): string[] {
    const allowed = countsOf([...this.#tokens('again'), ...this.#tokens('replayed')]);
    const seen = new Set<string>();
    return items.filter((item) => {
      const left = allowed.get(item) ?? 0;
      if (!seen.has(item) || left === 0) return Boolean(seen.add(item));
      allowed.set(item, left - 1);
      return false;
    });
  }

  /** Replays that did not come. */
  missingReplays(effects: readonly string[]): string[] {
    const asked = countsOf(this.#tokens('replayed'));
    const takenBack = countsOf(this.#tokens('taken back'));
    const had = countsOf(effects);
    return [...asked].flatMap(([token, times]) => {
      const once = this.skipped.has(token) ? 0 : 1;
      const least = once + times - (takenBack.get(token) ?? 0);
      return (had.get(token) ?? 0) < least ? [`${token} (replayed)`] : [];
    });
  }

  #tokens(what: ByHand['what']): string[] {
    return this.#byHand.filter((line) => line.what === what).map(({ token }) => token);
  }
}

function countsOf(tokens: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  return counts;
}
