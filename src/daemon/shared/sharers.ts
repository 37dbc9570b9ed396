import type { Clients } from '../../database/pool.ts';
import { unblockAll } from '../../log/deliveries/standing.ts';
import { SLOTS, shareConsumer } from '../../log/leases/lease.ts';
import { readLiveDaemons } from '../../log/positions/daemons.ts';
import { consumerChannel, noteOrder } from '../../log/positions/progress.ts';
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

/** Who works on a shared consumer, and whether anybody is to: looked at now and then. */
export class Sharers {
  readonly #options: SharersOptions;
  readonly #pauses: Pauses;
  /** Among how many processes the slots are divided; none while this one is not to work on it. */
  #count = 0;
  /** Why, as it was said. */
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
   * True while this process is not to work on it: it is paused, or another process runs it alone.
   */
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

  /**
   * It was found to be paused, or another's: nothing is taken until the next look, which is due.
   */
  leave(): void {
    this.#count = 0;
    this.lookSoon();
  }

  /**
   * Where a look is due, shares the consumer unless it is paused, or another process runs it alone,
   * or processes of another version read other channels for it.
   * @returns true where it was due, and the consumer is shared
   */
  async share(): Promise<boolean> {
    const now = performance.now();
    if (now < this.#nextLookAt) return false;
    this.#nextLookAt = now + CHECK_MS;
    const { calling, pool, schema, daemonId } = this.#options;
    const { id: consumerId, channels } = calling.consumer;
    const wish = { consumerId, channels, daemonId };
    const found = await pool.withClient((client) => shareConsumer(client, schema, wish));
    this.#isPaused = found.is === 'paused';
    if (found.is === 'paused') this.#pauses.begin({ consumerId, pausedUntil: found.until });
    else this.#pauses.end(consumerId);
    if (found.is === 'owned') this.#standBy('is run by another process alone; waiting to share it');
    if (found.is === 'another version') {
      const read = someOf(
        found.channels.filter((channel) => channel !== consumerChannel(consumerId)),
      );
      this.#standBy(`is read by a newer process with other channels (${read}); standing by`);
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
    const isOrdered = order === 'key';
    await pool.withClient((client) => noteOrder(client, schema, { consumerId, isOrdered }));
    // Whoever has left may have had an order to keep. After the note: who files reads that.
    if (!isOrdered) await pool.withClient((client) => unblockAll(client, schema, consumerId));
    this.#count = Math.max(1, count);
    this.#standingBy = '';
    const others = this.#count === 1 ? 'this process alone, so far' : `${this.#count} processes`;
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

/** How often it looks for processes that have died or come, and whether it is paused. */
export const CHECK_MS = 1000;
