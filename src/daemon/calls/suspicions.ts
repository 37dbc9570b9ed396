import { type DeliveryChange, isFailure } from '../../log/deliveries/delivery.ts';

/** A call that was recorded before it was made. */
export type RecordedCall = { id: number; attempt: number };

/**
 * What one session of a daemon leaves to the next: notifications that the server may have crashed
 * over, and calls that were lost without being to blame.
 */
export class Suspicions {
  readonly #suspects = new Map<string, Set<number>>();
  readonly #excused = new Map<string, RecordedCall[]>();
  readonly #doubted = new Set<string>();

  /**
   * The server crashed while they were being handled, or the failures of their calls could not be
   * saved.
   */
  suspect(consumerId: string, ids: readonly number[]): void {
    this.#suspects.set(consumerId, new Set([...(this.#suspects.get(consumerId) ?? []), ...ids]));
  }

  /**
   * Changes cannot be saved: another process has the consumer, or the server is a different one.
   * Only this process knows that these calls failed, and the server may have crashed over them.
   * @param recorded the recorded attempts; those that have failed are removed, so that they count
   */
  loseChanges(
    consumerId: string,
    changes: readonly DeliveryChange[],
    recorded: Map<number, number>,
  ): void {
    const failed = changes.filter(isFailure);
    this.suspect(
      consumerId,
      failed.map(({ notificationId }) => notificationId),
    );
    for (const { notificationId, attempts } of failed) {
      if (recorded.get(notificationId) === attempts) recorded.delete(notificationId);
    }
  }

  /** True once for each suspect: its call is recorded from then on. */
  take(consumerId: string, id: number): boolean {
    return this.#suspects.get(consumerId)?.delete(id) ?? false;
  }

  /** The suspects that have not been taken yet. */
  suspectsOf(consumerId: string): number[] {
    return [...(this.#suspects.get(consumerId) ?? [])];
  }

  /** These calls must not count as attempts: the server or the network was down. */
  excuse(consumerId: string, calls: readonly RecordedCall[]): void {
    this.#excused.set(consumerId, [...this.excused(consumerId), ...calls]);
  }

  excused(consumerId: string): readonly RecordedCall[] {
    return this.#excused.get(consumerId) ?? [];
  }

  /** The excused calls have been taken back. */
  forgetExcused(consumerId: string): void {
    this.#excused.delete(consumerId);
  }

  /**
   * The consumer is about to be taken from another owner. If the answer is lost, this mark remains.
   */
  doubt(consumerId: string): void {
    this.#doubted.add(consumerId);
  }

  /** True if a takeover was attempted and its outcome is unknown. */
  isDoubted(consumerId: string): boolean {
    return this.#doubted.has(consumerId);
  }

  trust(consumerId: string): void {
    this.#doubted.delete(consumerId);
  }
}
