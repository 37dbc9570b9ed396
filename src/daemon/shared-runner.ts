import type { Config } from '../config/define.ts';
import type { Pool } from '../database/connect.ts';
import { readLiveDaemons } from '../log/daemons.ts';
import { readNextDueMs } from '../log/due.ts';
import { SLOTS, shareConsumer } from '../log/lease.ts';
import { freeLeases } from '../log/lease-settle.ts';
import type { ReadPage } from '../log/page.ts';
import { publishTransition } from '../transitions.ts';
import { Bell } from './bell.ts';
import type { Calling } from './calling.ts';
import { SharedDelivery } from './shared-delivery.ts';
import { takeShared } from './shared-take.ts';
import type { Tail } from './tail.ts';

export type SharedRunnerOptions = {
  config: Config;
  calling: Calling;
  schema: string;
  daemonId: string;
  pool: Pool;
  handlerPool: Pool;
  readPage: ReadPage;
  rebasedId: number;
};

/** Works on a consumer together with the other processes that share it. */
export class SharedRunner {
  /** Rings when there may be something to take. */
  readonly work = new Bell();
  readonly #options: SharedRunnerOptions;
  /** Among how many processes the slots are divided; none while one process runs it alone. */
  #sharers = 0;
  #isStandingBy = false;

  constructor(options: SharedRunnerOptions) {
    this.#options = options;
  }

  /**
   * Works until the signal aborts; lets running handlers finish.
   * @throws where the workers have failed
   */
  async run(signal: AbortSignal, tail: Tail): Promise<void> {
    const listening = this.#listen(signal, tail);
    while (!signal.aborted) {
      await this.#share(signal, async (delivery, stop) => {
        while (!stop.aborted) {
          this.work.clear();
          // Before it looks: what becomes due in between would be seen by neither.
          const dueMs = await this.#untilDueMs();
          if (!(await this.#takeAndDeliver(delivery))) await this.#idle(stop, dueMs);
        }
      });
    }
    await listening;
  }

  /** Works until there is nothing to take. Throws as run. */
  async runToEnd(signal: AbortSignal): Promise<void> {
    await this.#share(signal, async (delivery, stop) => {
      while (!stop.aborted) {
        this.work.clear();
        if (await this.#takeAndDeliver(delivery)) continue;
        if (delivery.openCount === 0) return;
        await this.work.wait(CHECK_MS, stop);
      }
    });
  }

  /** Until the work returns, or the signal aborts, or a lease is lost to another process. */
  async #share(
    signal: AbortSignal,
    work: (delivery: SharedDelivery, stop: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const delivery = new SharedDelivery({ ...this.#options, onFreed: () => this.work.ring() });
    const stop = AbortSignal.any([signal, delivery.ended]);
    const close = () => delivery.close();
    if (stop.aborted) close();
    else stop.addEventListener('abort', close, { once: true });
    try {
      // What an earlier session of this process has left.
      await this.#free(false);
      await this.#check();
      await work(delivery, stop);
    } finally {
      stop.removeEventListener('abort', close);
      close();
      await delivery.untilIdle();
      // Where that fails, the others take it once this process has gone.
      await this.#free(false).catch(() => {});
    }
  }

  /** True where it has taken something. */
  async #takeAndDeliver(delivery: SharedDelivery): Promise<boolean> {
    const { config, calling, pool } = this.#options;
    const count = this.#sharers === 0 ? 0 : Math.ceil(SLOTS / this.#sharers) - delivery.openCount;
    if (count <= 0) return false;
    const limit = { rows: config.maxBatchSize, bytes: config.maxBatchBytes };
    const options = { ...this.#options, consumer: calling.consumer, limit };
    const taken = await pool.withClient((client) => takeShared(client, options, count));
    if (taken === null) {
      this.#sharers = 0;
      return false;
    }
    delivery.pause(taken.hasDead);
    await delivery.deliver(taken.leases);
    return taken.leases.length > 0;
  }

  async #untilDueMs(): Promise<number> {
    const { calling, pool, schema } = this.#options;
    const ids = [calling.consumer.id];
    const dueMs = await pool.withClient((client) => readNextDueMs(client, schema, ids));
    return dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Waits until it is worth looking for more. */
  async #idle(stop: AbortSignal, dueMs: number): Promise<void> {
    const endAt = performance.now() + Math.min(dueMs, this.#options.config.pollIntervalMs);
    while (!stop.aborted) {
      const leftMs = endAt - performance.now();
      if (leftMs <= 0 || (await this.work.wait(Math.min(leftMs, CHECK_MS), stop))) return;
      if (await this.#check()) return;
    }
  }

  /** Looks who else shares it, and frees what the dead have left. True where that is something. */
  async #check(): Promise<boolean> {
    const { calling, pool, schema } = this.#options;
    const { id: consumerId, channels } = calling.consumer;
    const isShared = await pool.withClient((client) =>
      shareConsumer(client, schema, { consumerId, channels }),
    );
    if (!isShared) {
      this.#standBy();
      return false;
    }
    const daemons = await pool.withClient((client) => readLiveDaemons(client, schema));
    const sharers = daemons.filter(({ sharedIds }) => sharedIds.includes(consumerId));
    const before = this.#sharers;
    this.#sharers = Math.max(1, sharers.length);
    if (before !== this.#sharers) {
      this.#isStandingBy = false;
      publishTransition({ type: 'consumer_shared', consumerId, processes: this.#sharers });
    }
    const freed = await this.#free(true);
    return freed > 0 || before === 0;
  }

  async #free(isDead: boolean): Promise<number> {
    const { calling, pool, schema, daemonId } = this.#options;
    const consumerId = calling.consumer.id;
    return pool.withClient((client) =>
      freeLeases(client, schema, { consumerId, daemonId, isDead }),
    );
  }

  /** Looks for more whenever the tail finds something; it reads only that there is something. */
  async #listen(signal: AbortSignal, tail: Tail): Promise<void> {
    const { channels } = this.#options.calling.consumer;
    while (!signal.aborted) {
      const subscription = await tail.join();
      if (!subscription) return;
      const leave = () => tail.leave(subscription);
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      publishTransition({ type: 'tail_joined', consumerId: this.#options.calling.consumer.id });
      this.work.ring();
      for (let page = await subscription.take(); page; page = await subscription.take()) {
        if (page.rows.some((row) => channels.includes(row[3]))) this.work.ring();
      }
      signal.removeEventListener('abort', leave);
    }
  }

  #standBy(): void {
    const { calling } = this.#options;
    const consumerId = calling.consumer.id;
    this.#sharers = 0;
    if (this.#isStandingBy) return;
    this.#isStandingBy = true;
    calling.reporter.info(`${consumerId} is run by another process alone; waiting to share it.`);
    publishTransition({ type: 'consumer_standby', consumerId });
  }
}

/** How often it looks for processes that have died or come. */
const CHECK_MS = 1000;
