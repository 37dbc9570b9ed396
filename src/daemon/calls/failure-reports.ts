import type { Fields, Reporter } from '../../reporter.ts';
import { formatDuration } from '../../time.ts';
import { countOf } from '../../words.ts';

type Burst = { said: number; withheld: number; last: string; timer: NodeJS.Timeout };

/**
 * Reports failures. If many occur at once, it reports the first ones and the number of the others:
 * a service that is down for an hour would fill a disk with identical lines. Each failure is stored
 * in its delivery.
 */
export class FailureReports {
  readonly #reporter: Reporter;
  readonly #bursts = new Map<string, Burst>();

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  say(consumerId: string, message: string, fields: Fields): void {
    const burst = this.#bursts.get(consumerId) ?? this.#begin(consumerId);
    if (burst.said < WHOLE_MAX) {
      burst.said += 1;
      this.#reporter.warn(message, { consumer: consumerId, ...fields });
      return;
    }
    burst.withheld += 1;
    burst.last = message;
  }

  /** Reports what it still holds back. */
  close(): void {
    for (const consumerId of [...this.#bursts.keys()]) this.#end(consumerId);
  }

  #begin(consumerId: string): Burst {
    const timer = setTimeout(() => this.#end(consumerId), BURST_MS).unref();
    const burst = { said: 0, withheld: 0, last: '', timer };
    this.#bursts.set(consumerId, burst);
    return burst;
  }

  #end(consumerId: string): void {
    const burst = this.#bursts.get(consumerId);
    if (!burst) return;
    clearTimeout(burst.timer);
    this.#bursts.delete(consumerId);
    const { withheld, last } = burst;
    if (withheld === 0) return;
    this.#reporter.warn(
      `${consumerId}: ${countOf(withheld, 'more failure')} within ` +
        `${formatDuration(BURST_MS)}; the last one: ${last} ` +
        `To list all: pgwatch dlq list --state all --consumer ${consumerId}.`,
      { consumer: consumerId, withheld },
    );
  }
}

/** How many failures of a consumer are reported in full within BURST_MS from the first. */
const WHOLE_MAX = 10;
const BURST_MS = 10_000;
