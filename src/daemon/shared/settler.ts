import type { Clients } from '../../database/pool.ts';
import { withTransaction } from '../../database/transaction.ts';
import { toError } from '../../errors.ts';
import { applyChanges } from '../../log/deliveries/apply-changes.ts';
import {
  type DeliveryChange,
  type DeliveryScope,
  lastOfEach,
} from '../../log/deliveries/delivery.ts';
import { settleLeases } from '../../log/leases/settle.ts';
import type { Reporter } from '../../reporter.ts';
import { Settling } from '../calls/settling.ts';
import type { LeaseWork } from './work.ts';

export type LeaseSettlerOptions = DeliveryScope & {
  pool: Clients;
  schema: string;
  daemonId: string;
  reporter: Reporter;
  /** Saved, and these are through; of the changes' keys those given still have one that waits. */
  onSettled(
    through: readonly LeaseWork[],
    changes: readonly DeliveryChange[],
    waitingKeys: readonly string[],
  ): void;
  /**
   * A lease is another process's by now, or was lost in a crash of the server: nothing of the batch
   * was saved.
   */
  onFenced(unsaved: readonly DeliveryChange[]): void;
};

/**
 * Settles leases of a shared consumer that this process has taken, and the deliveries with them.
 */
export class LeaseSettler {
  readonly #options: LeaseSettlerOptions;
  readonly #settling: Settling;
  readonly #works = new Set<LeaseWork>();
  #changes: DeliveryChange[] = [];

  constructor(options: LeaseSettlerOptions) {
    this.#options = options;
    this.#settling = new Settling({
      what: `What ${options.consumerId} handled`,
      reporter: options.reporter,
      hasPending: () => this.#works.size > 0,
      isGivenUp: () => options.pool.isGivenUp,
      settle: () => this.#settlePending(),
    });
  }

  /** Settles what of the lease is done: at once where all is, or something is to be filed. */
  settle(work: LeaseWork, change: DeliveryChange | null): void {
    this.#works.add(work);
    if (change) this.#changes.push(change);
    if (change || work.isFinished) this.#settling.start();
    else this.#settling.startWithin(PARTLY_MS);
  }

  /** Settles what can be settled, and then no more. */
  async close(): Promise<void> {
    await this.#settling.close();
  }

  async #settlePending(): Promise<Error | undefined> {
    const works = [...this.#works];
    const changes = this.#changes;
    this.#works.clear();
    this.#changes = [];
    try {
      await this.#settleBatch(works, changes);
      return undefined;
    } catch (thrown) {
      for (const work of works) this.#works.add(work);
      this.#changes = [...changes, ...this.#changes];
      return toError(thrown);
    }
  }

  async #settleBatch(
    works: readonly LeaseWork[],
    changes: readonly DeliveryChange[],
  ): Promise<void> {
    const { pool, schema, daemonId, onSettled, onFenced } = this.#options;
    const rests = works.map((work) => work.restWithout());
    const waitingKeys = await pool
      .withClient((client) =>
        withTransaction(client, async () => {
          // Losing the end of a lease in a server crash means redelivery; losing a change would be
          // worse.
          if (changes.length === 0) await client.query(`set local synchronous_commit = off`);
          if (!(await settleLeases(client, schema, daemonId, rests))) throw FENCED;
          return applyChanges(client, schema, this.#options, lastOfEach(changes));
        }),
      )
      .catch((thrown: unknown) => {
        if (thrown === FENCED) return null;
        throw thrown;
      });
    if (waitingKeys === null) return onFenced(changes);
    // By what is saved: meanwhile more may be done.
    const through = works.filter((_, index) => rests[index]?.notificationIds.length === 0);
    onSettled(through, changes, waitingKeys);
  }
}

const FENCED = Symbol('fenced');
/** How often the part of a lease that is done is saved. */
const PARTLY_MS = 500;
