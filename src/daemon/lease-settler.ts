import { isStatementError } from '../database/connect.ts';
import type { Pool } from '../database/pool.ts';
import { withTransaction } from '../database/transaction.ts';
import { toError } from '../errors.ts';
import { applyChanges, type DeliveryChange, type DeliveryScope } from '../log/delivery.ts';
import { settleLeases } from '../log/lease-settle.ts';
import type { Reporter } from '../reporter.ts';
import { backoffMs, sleep } from '../time.ts';
import type { LeaseWork } from './lease-work.ts';
import { lastOfEach } from './settler.ts';

export type LeaseSettlerOptions = DeliveryScope & {
  pool: Pool;
  schema: string;
  daemonId: string;
  reporter: Reporter;
  /** Saved; of the changes' keys those given still have a notification that waits. */
  onSettled(
    works: readonly LeaseWork[],
    changes: readonly DeliveryChange[],
    waitingKeys: readonly string[],
  ): void;
  /** A lease is another process's by now: nothing of the batch was saved. */
  onFenced(): void;
};

/** Settles leases behind the handlers' backs; while one settlement is under way others gather. */
export class LeaseSettler {
  readonly #options: LeaseSettlerOptions;
  readonly #works = new Set<LeaseWork>();
  #changes: DeliveryChange[] = [];
  #settling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: LeaseSettlerOptions) {
    this.#options = options;
  }

  /** Settles what of the lease is done: at once where all is, or something is to be filed. */
  settle(work: LeaseWork, change: DeliveryChange | null): void {
    this.#works.add(work);
    if (change) this.#changes.push(change);
    if (change || work.isFinished) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), PARTLY_MS);
  }

  /** Waits until everything is saved, or has failed to be; then no more is. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#start();
    await this.#settling;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#works.size > 0) this.#settling ??= this.#run();
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#works.size > 0 && failures < FAILURES_MAX; ) {
      const works = [...this.#works];
      const changes = this.#changes;
      this.#works.clear();
      this.#changes = [];
      try {
        await this.#settleBatch(works, changes);
        failures = 0;
      } catch (thrown) {
        failures += 1;
        for (const work of works) this.#works.add(work);
        this.#changes = [...changes, ...this.#changes];
        this.#report(toError(thrown), failures);
        await sleep(backoffMs(failures, { baseMs: 50, capMs: 500 }), NEVER);
      }
    }
    this.#settling = undefined;
    // Nothing else may come that would take it along.
    if (this.#works.size > 0 && !this.#isClosed) {
      this.#timer ??= setTimeout(() => this.#start(), AGAIN_MS);
    }
  }

  #report(failure: Error, failures: number): void {
    const { consumerId, reporter } = this.#options;
    const text = `What ${consumerId} handled is not settled yet: ${failure.message}`;
    if (isStatementError(failure) && failures === FAILURES_MAX) reporter.warn(text);
    else reporter.debug(text);
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
          // Losing the end of a lease in a server crash means redelivery; losing a change would be worse.
          if (changes.length === 0) await client.query(`set local synchronous_commit = off`);
          if (!(await settleLeases(client, schema, daemonId, rests))) throw FENCED;
          return applyChanges(client, schema, this.#options, lastOfEach(changes));
        }),
      )
      .catch((thrown: unknown) => {
        if (thrown === FENCED) return null;
        throw thrown;
      });
    if (waitingKeys === null) onFenced();
    else onSettled(works, changes, waitingKeys);
  }
}

const FENCED = Symbol('fenced');
/** How often the part of a lease that is done is saved. */
const PARTLY_MS = 500;
const FAILURES_MAX = 5;
const AGAIN_MS = 2000;
const NEVER = new AbortController().signal;
