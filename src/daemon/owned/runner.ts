import type { Config } from '../../config/define.ts';
import { channelTest } from '../../log/channels.ts';
import type { Page, ReadPage } from '../../log/page.ts';
import type { ConsumerState } from '../../log/positions/activity.ts';
import { learnXid, type Position } from '../../log/positions/position.ts';
import { isStreamable, streamPages } from '../../log/stream.ts';
import { publishTransition } from '../../transitions.ts';
import type { SessionPool } from '../control/session-pool.ts';
import type { Tail } from '../tail/tail.ts';
import { CatchUp, type CatchUpDisplay } from './catch-up.ts';
import { type DispatcherOptions, OwnedDispatcher } from './dispatcher.ts';
import type { OwnedConsumer } from './takeover.ts';

export type RunnerOptions = Omit<DispatcherOptions, 'onHandled' | 'onSaved' | 'pool'> & {
  config: Config;
  pool: SessionPool;
  readPage: ReadPage;
  rebasedId: number;
  display: CatchUpDisplay;
};

/**
 * Runs one consumer while this process owns it: reads what it missed, then follows the tail. If it
 * falls behind, it reads by itself again.
 */
export class ConsumerRunner {
  readonly dispatcher: OwnedDispatcher;
  readonly catchUp: CatchUp;
  readonly #options: RunnerOptions;
  /**
   * The newest position when the consumer was taken over: it is catching up until it gets there.
   */
  readonly #newest: Position;
  /** The position up to which everything has been read. */
  #position: Position;
  #isFollowing = false;

  constructor(options: RunnerOptions, owned: OwnedConsumer) {
    this.#options = options;
    this.#newest = owned.newest;
    this.#position = owned.position;
    this.catchUp = new CatchUp(options.calling.consumer.id, options.display);
    this.dispatcher = new OwnedDispatcher(
      {
        ...options,
        onHandled: (isReplay) => {
          options.calling.meter.count();
          this.catchUp.count(isReplay);
        },
        onSaved: (position, xid) => {
          this.#position = learnXid(this.#position, position, xid);
        },
      },
      owned,
    );
  }

  /**
   * Works until the signal aborts or the consumer is no longer ours; lets running handlers finish.
   * @throws if the workers have failed
   */
  async run(signal: AbortSignal, tail: Tail): Promise<void> {
    await this.#whileOurs(signal, async (stop) => {
      while (!stop.aborted) {
        await this.#readToEnd(stop);
        if (!stop.aborted) await this.#follow(tail, stop);
        // The tail has ended, and the session with it.
        if (tail.hasEnded) break;
      }
    });
  }

  /**
   * Handles everything that is visible now, with its own reads, then runs andThen(). Throws like
   * run().
   */
  async runToEnd(signal: AbortSignal, andThen: () => Promise<void>): Promise<void> {
    await this.#whileOurs(signal, async (stop) => {
      await this.#readToEnd(stop);
      await andThen();
    });
  }

  async #whileOurs(signal: AbortSignal, work: (stop: AbortSignal) => Promise<void>): Promise<void> {
    const stop = AbortSignal.any([signal, this.dispatcher.life.ended]);
    const close = () => this.dispatcher.close();
    if (stop.aborted) close();
    else stop.addEventListener('abort', close, { once: true });
    await this.#options.calling.meter.during(
      () => this.#state,
      async () => {
        try {
          await work(stop);
        } finally {
          close();
          await this.dispatcher.untilIdle();
          this.catchUp.end();
        }
      },
    );
  }

  get #state(): ConsumerState {
    const { life, brake } = this.dispatcher;
    if (life.isClosed) return 'finishing';
    if (brake.isOn) return brake.isHalted ? 'stopped' : 'retrying';
    return this.#isFollowing ? 'tail' : 'catching up';
  }

  async #readToEnd(stop: AbortSignal): Promise<void> {
    // An open window, of the previous owner or the tail, comes first.
    if (this.#position.window !== null) await this.#readWindow(stop);
    if (this.catchUp.isReading && !stop.aborted) {
      await this.#readTo(this.#newest, stop);
      if (!stop.aborted) this.catchUp.endReading();
    }
    if (!stop.aborted) await this.#readWindow(stop);
  }

  async #follow(tail: Tail, stop: AbortSignal): Promise<void> {
    const { consumer } = this.#options.calling;
    const isRead = channelTest(consumer.channels);
    const subscription = await tail.join(consumer.channels);
    if (!subscription) return;
    if (stop.aborted) {
      tail.leave(subscription);
      return;
    }
    const onStop = () => tail.leave(subscription);
    stop.addEventListener('abort', onStop, { once: true });
    try {
      await this.#readTo(subscription.joint, stop);
      this.#isFollowing = true;
      publishTransition({ type: 'tail_joined', consumerId: consumer.id });
      for (;;) {
        const page = await subscription.take();
        if (!page || stop.aborted) break;
        const rows = page.rows.filter((row) => isRead(row[3]));
        await this.#deliver({ ...page, rows });
      }
    } finally {
      this.#isFollowing = false;
      stop.removeEventListener('abort', onStop);
      tail.leave(subscription);
      publishTransition({ type: 'tail_left', consumerId: consumer.id });
    }
  }

  /** Reads what lies between its own position and a newer one. Afterwards both are the same. */
  async #readTo({ doneSnapshot, doneId }: Position, stop: AbortSignal): Promise<void> {
    const window = { snapshot: doneSnapshot, endId: doneId, id: 0, xid: null };
    this.#position = { ...this.#position, window };
    await this.#readWindow(stop);
  }

  /** Reads page after page until the window closes. */
  async #readWindow(stop: AbortSignal): Promise<void> {
    const { pool, schema, config, calling, rebasedId, readPage } = this.#options;
    const { channels } = calling.consumer;
    const limit = { rows: config.maxBatchSize, bytes: config.maxBatchBytes };
    for (let hasMore = true; hasMore && !stop.aborted; ) {
      if (isStreamable(this.#position, limit.rows)) {
        const options = { pool, schema, channels, limit, rebasedId };
        // A retry continues where it was: the position moves only with a page that is delivered.
        await pool.again(
          async () => {
            for await (const page of streamPages(options, this.#position)) {
              await this.#deliver(page);
              if (stop.aborted) return;
            }
          },
          () => stop.aborted,
        );
        return;
      }
      const request = { position: this.#position, channels, limit, rebasedId };
      const page = await pool.withClient((client) => readPage(client, request));
      hasMore = page.hasMore;
      await this.#deliver(page);
    }
  }

  async #deliver(page: Page): Promise<void> {
    this.#position = page.after;
    if (page.after === page.before && page.rows.length === 0) return;
    const { isReading } = this.catchUp;
    await this.dispatcher.deliver(page, isReading, isReading ? this.catchUp.open(page) : () => {});
  }
}
