import type { Config } from '../../config/define.ts';
import type { Clients, Pool } from '../../database/pool.ts';
import { withTransaction } from '../../database/transaction.ts';
import { channelTest } from '../../log/channels.ts';
import { takeBackAttempts } from '../../log/deliveries/attempts.ts';
import { readHavingDead, readNextDueMs } from '../../log/deliveries/standing.ts';
import { lockSharedConsumer } from '../../log/leases/lease.ts';
import { absorbLeases, type FreeLeases, freeLeases } from '../../log/leases/settle.ts';
import type { ReadPage } from '../../log/page.ts';
import type { ConsumerState } from '../../log/positions/activity.ts';
import { publishTransition } from '../../transitions.ts';
import { Bell } from '../../waiting.ts';
import type { Calling } from '../calls/calling.ts';
import type { Suspicions } from '../calls/suspicions.ts';
import type { LossJudge } from '../calls/transaction/loss.ts';
import type { Tail } from '../tail/tail.ts';
import { SharedDispatcher } from './dispatcher.ts';
import { PageSize } from './page-size.ts';
import { CHECK_MS, Sharers } from './sharers.ts';
import { takeShared } from './take.ts';
import { TakePlace } from './take-place.ts';

export type SharedRunnerOptions = {
  config: Config;
  calling: Calling;
  schema: string;
  daemonId: string;
  pool: Clients;
  handlerPool: Pool;
  judge: LossJudge;
  mode: 'tail' | 'once';
  suspicions: Suspicions;
  readPage: ReadPage;
  rebasedId: number;
};

/** Runs a consumer together with the other processes that share it. */
export class SharedRunner {
  /** Rings when there may be something to take. */
  readonly work = new Bell();
  readonly consumerId: string;
  readonly #options: SharedRunnerOptions;
  readonly #pageSize: PageSize;
  readonly #sharers: Sharers;
  readonly #place = new TakePlace();
  #isBehind = false;
  #nextDueAt = 0;
  #hasLookedForDue = false;

  constructor(options: SharedRunnerOptions) {
    this.#options = options;
    this.consumerId = options.calling.consumer.id;
    this.#sharers = new Sharers(options);
    this.#pageSize = new PageSize(options.config.maxBatchSize);
  }

  /**
   * Works until the signal aborts; lets running handlers finish.
   * @throws if the workers have failed
   */
  async run(signal: AbortSignal, tail: Tail): Promise<void> {
    const listening = this.#listen(signal, tail);
    while (!signal.aborted) {
      await this.#untilResumed(signal);
      await this.#share(signal, async (dispatcher, stop) => {
        while (!stop.aborted) {
          this.work.clear();
          await this.#check(dispatcher);
          // Its leases are freed, for the processes that are there when the consumer is resumed.
          if (this.#sharers.isPaused) return;
          if (await this.#takeAndDeliver(dispatcher)) continue;
          await this.work.wait(await this.#idleMs(dispatcher), stop);
        }
      });
    }
    await listening;
  }

  /**
   * Works until there is nothing to take. Returns the dispatcher, which knows the outcome. Throws
   * like run().
   */
  async runToEnd(signal: AbortSignal): Promise<SharedDispatcher> {
    return this.#share(signal, async (dispatcher, stop) => {
      while (!stop.aborted) {
        this.work.clear();
        await this.#check(dispatcher);
        if (this.#sharers.isPaused) return;
        // Checked before the take: what is settled during it may make another retry of its key due.
        const isIdle = dispatcher.openCount === 0;
        if (await this.#takeAndDeliver(dispatcher)) continue;
        // Another process may run it alone, or a dead letter may have stopped it.
        if (this.#sharers.isNone || dispatcher.brake.isHalted) {
          // It reports why.
          await this.#sharers.share();
          return;
        }
        if (isIdle && this.#hasLookedForDue) return;
        await this.work.wait(await this.#idleMs(dispatcher), stop);
      }
    });
  }

  /** True if the consumer was paused when it last looked. */
  get isPaused(): boolean {
    return this.#sharers.isPaused;
  }

  /** Makes it check at once which other processes share the consumer, and whether it is paused. */
  look(): void {
    this.#sharers.lookSoon();
    this.work.ring();
  }

  async #untilResumed(signal: AbortSignal): Promise<void> {
    while (this.#sharers.isPaused && !signal.aborted) {
      this.work.clear();
      await this.#sharers.share();
      if (this.#sharers.isPaused) await this.work.wait(CHECK_MS, signal);
    }
    // Start sharing at once.
    this.#sharers.lookSoon();
  }

  /**
   * Shares the consumer until the work returns, the signal aborts, or a lease is lost to another
   * process.
   */
  async #share(
    signal: AbortSignal,
    work: (dispatcher: SharedDispatcher, stop: AbortSignal) => Promise<void>,
  ): Promise<SharedDispatcher> {
    const dispatcher = new SharedDispatcher({ ...this.#options, onFreed: () => this.work.ring() });
    const stop = AbortSignal.any([signal, dispatcher.life.ended]);
    const close = () => dispatcher.close();
    if (stop.aborted) close();
    else stop.addEventListener('abort', close, { once: true });
    const sharing = async () => {
      try {
        await this.#freeEarlier();
        await work(dispatcher, stop);
        return dispatcher;
      } finally {
        stop.removeEventListener('abort', close);
        close();
        await dispatcher.untilIdle();
        // If this fails, other processes take them once this process is gone.
        await this.#free({ isDead: false }).catch(() => {});
      }
    };
    return this.#options.calling.meter.during(() => this.#stateOf(dispatcher), sharing);
  }

  #stateOf({ life, brake }: SharedDispatcher): ConsumerState | null {
    if (life.isClosed) return 'finishing';
    if (this.#sharers.isNone) return null;
    if (brake.isOn) return brake.isHalted ? 'stopped' : 'retrying';
    return this.#isBehind ? 'catching up' : 'tail';
  }

  /** Returns true if it has taken something. */
  async #takeAndDeliver(dispatcher: SharedDispatcher): Promise<boolean> {
    const { config, calling, pool } = this.#options;
    // Few large takes are cheaper than many small ones.
    if (this.#sharers.isNone) return false;
    if (this.#isBusy(dispatcher)) {
      await this.#lookForDead(dispatcher);
      return false;
    }
    const limit = { rows: this.#pageSize.rows, bytes: config.maxBatchBytes };
    const place = this.#place;
    const options = { ...this.#options, consumer: calling.consumer, limit, place };
    const startedAt = performance.now();
    const isDue = startedAt > this.#nextDueAt;
    const count = Math.max(1, this.#sharers.part - dispatcher.openCount);
    const { brake } = dispatcher;
    const mayRead = (retryCount: number) => {
      brake.countRetries(retryCount);
      return !brake.isOverfull;
    };
    const tell = brake.look();
    const taken = await pool.withClient((client) =>
      takeShared(client, options, { count, isDue, mayRead }),
    );
    this.#hasLookedForDue = isDue;
    if (isDue) this.#nextDueAt = startedAt + DUE_MS;
    if (taken === null) {
      this.#sharers.leave();
      this.work.ring();
      return false;
    }
    tell(taken.hasDead);
    this.#isBehind = taken.isBehind;
    this.#pageSize.adapt({ startedAt, endedAt: performance.now() }, taken.leases.length > 0);
    await dispatcher.deliver(taken.leases);
    return taken.leases.length > 0;
  }

  /** Another process may have filed a dead letter that stops the consumer. */
  async #lookForDead({ brake }: SharedDispatcher): Promise<void> {
    const { calling, pool, schema } = this.#options;
    if (calling.consumer.onDead !== 'stop') return;
    const tell = brake.look();
    const having = await pool.withClient((client) =>
      readHavingDead(client, schema, [this.consumerId]),
    );
    tell(having.has(this.consumerId));
  }

  /** How long to wait for a ring if there was nothing to take. */
  async #idleMs(dispatcher: SharedDispatcher): Promise<number> {
    const { calling, pool, schema } = this.#options;
    // Freed leases ring the bell; a process that waits still has to check on the others regularly.
    if (this.#isBusy(dispatcher) || this.#sharers.isNone) return CHECK_MS;
    if (!this.#hasLookedForDue) return DUE_MS;
    const ids = [calling.consumer.id];
    const dueMs = await pool.withClient((client) => readNextDueMs(client, schema, ids));
    return Math.min(dueMs ?? CHECK_MS, CHECK_MS);
  }

  /** Checks regularly which processes share the consumer, and frees the leases of dead ones. */
  async #check(dispatcher: SharedDispatcher): Promise<void> {
    if (!(await this.#sharers.share())) return;
    await this.#freeDead();
    // The transaction of a broken connection may have locked some of them when they were freed
    // before.
    await this.#free({ isDead: false, heldIds: dispatcher.openIds });
    await this.#sharers.count();
  }

  /** True while it holds more than half of its part of the leases, and can continue with them. */
  #isBusy(dispatcher: SharedDispatcher): boolean {
    return dispatcher.openCount > this.#sharers.part / 2 && !dispatcher.brake.isHalted;
  }

  /** Frees what an earlier session of this process has left. */
  async #freeEarlier(): Promise<void> {
    const { consumerId } = this;
    const { pool, schema, suspicions } = this.#options;
    await this.#free({ isDead: false, suspectIds: suspicions.suspectsOf(consumerId) });
    const calls = new Map(suspicions.excused(consumerId).map(({ id, attempt }) => [id, attempt]));
    await pool.withClient((client) => takeBackAttempts(client, schema, consumerId, calls));
    suspicions.forgetExcused(consumerId);
  }

  /**
   * Frees the leases of processes that have died. If one was of a version without order by key, its
   * leases have no slots, and other processes must not see them.
   */
  async #freeDead(): Promise<void> {
    const { calling, pool, schema, daemonId } = this.#options;
    const { id: consumerId, order } = calling.consumer;
    await pool.withClient((client) =>
      withTransaction(client, async () => {
        const isOrdered = order === 'key';
        // Other leases are locked after the freed ones, whatever their ids.
        if (isOrdered) await lockSharedConsumer(client, schema, consumerId);
        const freed = await freeLeases(client, schema, { consumerId, daemonId, isDead: true });
        if (freed > 0 && isOrdered) {
          await absorbLeases(client, schema, consumerId, 'unordered');
        }
      }),
    );
  }

  async #free(which: Omit<FreeLeases, 'consumerId' | 'daemonId'>): Promise<number> {
    const { calling, pool, schema, daemonId } = this.#options;
    const consumerId = calling.consumer.id;
    return pool.withClient((client) =>
      freeLeases(client, schema, { consumerId, daemonId, ...which }),
    );
  }

  /**
   * Looks for more whenever the tail finds something. It only needs to know that there is
   * something.
   */
  async #listen(signal: AbortSignal, tail: Tail): Promise<void> {
    const isRead = channelTest(this.#options.calling.consumer.channels);
    while (!signal.aborted) {
      // No contents: the process that takes a lease reads them.
      const subscription = await tail.join([]);
      if (!subscription) return;
      const leave = () => tail.leave(subscription);
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      publishTransition({ type: 'tail_joined', consumerId: this.#options.calling.consumer.id });
      this.work.ring();
      for (let page = await subscription.take(); page; page = await subscription.take()) {
        if (page.rows.some((row) => isRead(row[3]))) this.work.ring();
      }
      signal.removeEventListener('abort', leave);
    }
  }
}

/** How often it looks for due retries while there is other work. */
const DUE_MS = 50;
