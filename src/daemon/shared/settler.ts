import type { PoolClient } from 'pg';
import type { Clients } from '../../database/pool.ts';
import { withTransaction } from '../../database/transaction.ts';
import { toError } from '../../errors.ts';
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
  /** Files the changes. Returns the keys that still have a notification waiting. */
  file(client: PoolClient, changes: readonly DeliveryChange[]): Promise<string[]>;
  /**
   * The batch is saved and the leases in `through` are finished. Of the changes' keys, waitingKeys
   * still have a notification waiting.
   */
  onSettled(
    through: readonly LeaseWork[],
    changes: readonly DeliveryChange[],
    waitingKeys: readonly string[],
  ): void;
  /**
   * Nothing of the batch was saved: a lease belongs to another process by now, or was lost in a
   * server crash.
   */
  onFenced(unsaved: readonly DeliveryChange[]): void;
};

/**
 * Settles the leases that this process has taken of a shared consumer, together with the
 * deliveries.
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

  /** Settles what is done of a lease: at once if all of it is done or there is a change to file. */
  settle(work: LeaseWork, change: DeliveryChange | null): void {
    this.#works.add(work);
    if (change) this.#changes.push(change);
    if (change || work.isFinished) this.#settling.start();
    else this.#settling.startWithin(PARTLY_MS);
  }

  /** Settles what can be settled, then stops. */
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
          return this.#options.file(client, lastOfEach(changes));
        }),
      )
      .catch((thrown: unknown) => {
        if (thrown === FENCED) return null;
        throw thrown;
      });
    if (waitingKeys === null) return onFenced(changes);
    // Based on what was saved: more may be done by now.
    const through = works.filter((_, index) => rests[index]?.notificationIds.length === 0);
    onSettled(through, changes, waitingKeys);
  }
}

const FENCED = Symbol('fenced');
/** How often the progress within a lease is saved. */
const PARTLY_MS = 500;
