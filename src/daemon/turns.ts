/** Does one thing after the other, in the order in which they are asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Does it once everything before is done, whether that succeeded or not. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves once everything asked for so far is done. */
  async untilIdle(): Promise<void> {
    await this.#last;
  }
}
