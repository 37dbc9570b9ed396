import type { OwnerState } from '../../log/positions/daemons.ts';
import type { Reporter } from '../../reporter.ts';
import { publishTransition } from '../../transitions.ts';

/** Reports each pause and each resumption of a consumer once. */
export class Pauses {
  readonly #reporter: Reporter;
  readonly #ids = new Set<string>();

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  begin({ consumerId, pausedUntil }: Pick<OwnerState, 'consumerId' | 'pausedUntil'>): void {
    if (this.#ids.has(consumerId)) return;
    this.#ids.add(consumerId);
    const end = pausedUntil
      ? `until ${pausedUntil.toISOString()}`
      : `until "pgwatch consumers resume ${consumerId}"`;
    this.#reporter.info(`${consumerId} is paused ${end}: nothing is delivered to it.`, {
      consumer: consumerId,
    });
    publishTransition({ type: 'consumer_paused', consumerId });
  }

  end(consumerId: string): void {
    if (this.#ids.delete(consumerId)) this.#reporter.info(`${consumerId} resumes.`);
  }
}
