import type { Clients } from '../../database/pool.ts';
import { withTransaction } from '../../database/transaction.ts';
import { consumerChannel } from '../../log/channels.ts';
import { SLOTS, shareConsumer } from '../../log/leases/lease.ts';
import { changeOrder } from '../../log/leases/order.ts';
import { readLiveDaemons } from '../../log/positions/daemons.ts';
import { publishTransition } from '../../transitions.ts';
import { someOf } from '../../words.ts';
import type { Calling } from '../calls/calling.ts';
import { reportChannels } from '../control/channel-change.ts';
import { Pauses } from '../control/pauses.ts';

export type SharersOptions = {
  calling: Calling;
  schema: string;
  pool: Clients;
  daemonId: string;
};

/** Which processes work on a shared consumer, and whether this one may: checked regularly. */
export class Sharers {
  readonly #options: SharersOptions;
  readonly #pauses: Pauses;
  /** How many processes divide the slots; 0 while this process must not work on the consumer. */
  #count = 0;
  /** The reason for standing by, as last reported. */
  #standingBy = '';
  #isPaused = false;
  #nextLookAt = 0;

  constructor(options: SharersOptions) {
    this.#options = options;
    this.#pauses = new Pauses(options.calling.reporter);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * True while this process must not work on it: it is paused, or another process runs it alone.
   */
  get isNone(): boolean {
    return this.#count === 0;
  }

  /** How many leases this process may hold at once. */
  get part(): number {
    return this.isNone ? 0 : Math.ceil(SLOTS / this.#count);
  }

  /** Makes the next check due. */
  lookSoon(): void {
    this.#nextLookAt = 0;
  }

  /**
   * The consumer was found to be paused, or no longer shared: takes nothing until the next check,
   * which is due now.
   */
  leave(): void {
    this.#count = 0;
    this.lookSoon();
  }

  /**
   * If a check is due, shares the consumer unless it is paused, another process runs it alone, or
   * processes of another version read other channels for it.
   * @returns true if the check was due and the consumer is shared
   */
  async share(): Promise<boolean> {
    const now = performance.now();
    if (now < this.#nextLookAt) return false;
    this.#nextLookAt = now + CHECK_MS;
    const { calling, pool, schema, daemonId } = this.#options;
    const { id: consumerId, channels, order } = calling.consumer;
    const wish = { consumerId, channels, isOrdered: order === 'key', daemonId };
    const found = await pool.withClient((client) =>
      withTransaction(client, () => shareConsumer(client, schema, wish)),
    );
    this.#isPaused = found.is === 'paused';
    if (found.is === 'paused') this.#pauses.begin({ consumerId, pausedUntil: found.until });
    else this.#pauses.end(consumerId);
    if (found.is === 'owned') this.#standBy('is run by another process alone; waiting to share it');
    if (found.is === 'another version') {
      const read = someOf(
        found.channels.filter((channel) => channel !== consumerChannel(consumerId)),
      );
      this.#standBy(`is run by a newer process that reads other channels (${read}); standing by`);
    }
    if (found.is !== 'shared') this.#count = 0;
    else reportChannels(calling.reporter, calling.consumer, found);
    return found.is === 'shared';
  }

  /** Counts the processes that share it. */
  async count(): Promise<void> {
    const { calling, pool, schema } = this.#options;
    const { id: consumerId, order } = calling.consumer;
    const daemons = await pool.withClient((client) => readLiveDaemons(client, schema));
    const count = daemons.filter(({ sharedIds }) => sharedIds.includes(consumerId)).length;
    if (this.#count === count) return;
    const scope = { consumerId, isOrdered: order === 'key' };
    await pool.withClient((client) =>
      withTransaction(client, () => changeOrder(client, schema, scope)),
    );
    this.#count = Math.max(1, count);
    this.#standingBy = '';
    const others = this.#count === 1 ? 'only this process so far' : `${this.#count} processes`;
    calling.reporter.info(`${consumerId} is shared: ${others}.`, { consumer: consumerId });
    publishTransition({ type: 'consumer_shared', consumerId, processes: this.#count });
  }

  #standBy(why: string): void {
    const { calling } = this.#options;
    const consumerId = calling.consumer.id;
    if (this.#standingBy === why) return;
    this.#standingBy = why;
    calling.reporter.info(`${consumerId} ${why}.`);
    publishTransition({ type: 'consumer_standby', consumerId });
  }
}

/** How often it checks for processes that have come or died, and for a pause. */
export const CHECK_MS = 1000;
