import { type DeliveryChange, isFailure } from '../../log/deliveries/delivery.ts';

/** A call that was written down before it was made. */
export type RecordedCall = { id: number; attempt: number };

/**
 * What one session of a daemon leaves to the next: over which notifications the server may have
 * crashed, and which calls were lost to nobody's fault.
 */
export class Suspicions {
  readonly #suspects = new Map<string, Set<number>>();
  readonly #excused = new Map<string, RecordedCall[]>();
  readonly #doubted = new Set<string>();

  /**
   * The server crashed while they were being handled, or it is lost that their calls have failed.
   */
  suspect(consumerId: string, ids: readonly number[]): void {
    this.#suspects.set(consumerId, new Set([...(this.#suspects.get(consumerId) ?? []), ...ids]));
  }

  /**
   * They cannot be saved: the consumer is another's, or the server is another. That these calls
   * have failed is known here alone, and the server may have crashed over them.
   * @param recorded attempts that are written down; those that have failed stay so
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

  /** True once for each: from then on it is written down. */
  take(consumerId: string, id: number): boolean {
    return this.#suspects.get(consumerId)?.delete(id) ?? false;
  }

  /** All that have not been taken yet. */
  suspectsOf(consumerId: string): number[] {
    return [...(this.#suspects.get(consumerId) ?? [])];
  }

  /** These calls are to count for nothing: the server or the network was away. */
  excuse(consumerId: string, calls: readonly RecordedCall[]): void {
    this.#excused.set(consumerId, [...this.excused(consumerId), ...calls]);
  }

  excused(consumerId: string): readonly RecordedCall[] {
    return this.#excused.get(consumerId) ?? [];
  }

  /** They count for nothing any more. */
  forgetExcused(consumerId: string): void {
    this.#excused.delete(consumerId);
  }

  /**
   * The consumer is about to be taken from another owner: should the answer get lost, this is
   * known.
   */
  doubt(consumerId: string): void {
    this.#doubted.add(consumerId);
  }

  /** True where it was about to be, and nobody knows whether that was done. */
  isDoubted(consumerId: string): boolean {
    return this.#doubted.has(consumerId);
  }

  trust(consumerId: string): void {
    this.#doubted.delete(consumerId);
  }
}
