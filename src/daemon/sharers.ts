import type { Clients } from '../database/pool.ts';
import { readLiveDaemons } from '../log/daemons.ts';
import { SLOTS, shareConsumer } from '../log/lease.ts';
import { noteOrder } from '../log/progress.ts';
import { unblockAll } from '../log/standing.ts';
import { publishTransition } from '../transitions.ts';
import type { Calling } from './calling.ts';
import { reportChannels } from './channel-change.ts';
import { Pauses } from './pauses.ts';

export type SharersOptions = { calling: Calling; schema: string; pool: Clients };

/** Who works on a shared consumer, and whether anybody is to: looked at now and then. */
export class Sharers {
  readonly #options: SharersOptions;
  readonly #pauses: Pauses;
  /** Among how many processes the slots are divided; none while this one is not to work on it. */
  #count = 0;
  #isStandingBy = false;
  #isPaused = false;
  #hasToldChannels = false;
  #nextLookAt = 0;

  constructor(options: SharersOptions) {
    this.#options = options;
    this.#pauses = new Pauses(options.calling.reporter);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** True while this process is not to work on it: it is paused, or another process runs it alone. */
  get isNone(): boolean {
    return this.#count === 0;
  }

  /** How many leases this process has at once. */
  get part(): number {
    return this.isNone ? 0 : Math.ceil(SLOTS / this.#count);
  }

  /** The next look is due. */
  lookSoon(): void {
    this.#nextLookAt = 0;
  }

  /** It was found to be paused, or another's: nothing is taken until the next look, which is due. */
  leave(): void {
    this.#count = 0;
    this.lookSoon();
  }

  /**
   * Where a look is due, shares the consumer unless it is paused, or another process runs it alone.
   * @returns true where it was due, and the consumer is shared
   */
  async share(): Promise<boolean> {
    const now = performance.now();
    if (now < this.#nextLookAt) return false;
    this.#nextLookAt = now + CHECK_MS;
    const { calling, pool, schema } = this.#options;
    const { id: consumerId, channels } = calling.consumer;
    const found = await pool.withClient((client) =>
      shareConsumer(client, schema, { consumerId, channels }),
    );
    this.#isPaused = found.is === 'paused';
    if (found.is === 'paused') this.#pauses.begin({ consumerId, pausedUntil: found.until });
    else this.#pauses.end(consumerId);
    if (found.is === 'owned') this.#standBy();
    if (found.is !== 'shared') this.#count = 0;
    else if (!this.#hasToldChannels) {
      // During a deployment those of others may differ, and each puts its own down: told once.
      this.#hasToldChannels = true;
      reportChannels(calling.reporter, calling.consumer, found);
    }
    return found.is === 'shared';
  }

  /** Counts the processes that share it. */
  async count(): Promise<void> {
    const { calling, pool, schema } = this.#options;
    const { id: consumerId, order } = calling.consumer;
    const daemons = await pool.withClient((client) => readLiveDaemons(client, schema));
    const count = daemons.filter(({ sharedIds }) => sharedIds.includes(consumerId)).length;
    if (this.#count === count) return;
    const isOrdered = order === 'key';
    await pool.withClient((client) => noteOrder(client, schema, { consumerId, isOrdered }));
    // Whoever has left may have had an order to keep. After the note: who files reads that.
    if (!isOrdered) await pool.withClient((client) => unblockAll(client, schema, consumerId));
    this.#count = Math.max(1, count);
    this.#isStandingBy = false;
    const others = this.#count === 1 ? 'this process alone, so far' : `${this.#count} processes`;
    calling.reporter.info(`${consumerId} is shared: ${others}.`, { consumer: consumerId });
    publishTransition({ type: 'consumer_shared', consumerId, processes: this.#count });
  }

  #standBy(): void {
    const { calling } = this.#options;
    const consumerId = calling.consumer.id;
    if (this.#isStandingBy) return;
    this.#isStandingBy = true;
    calling.reporter.info(`${consumerId} is run by another process alone; waiting to share it.`);
    publishTransition({ type: 'consumer_standby', consumerId });
  }
}

/** How often it looks for processes that have died or come, and whether it is paused. */
export const CHECK_MS = 1000;
