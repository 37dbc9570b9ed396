import type { Config } from '../config/define.ts';
import type { Consumer, ConsumerContext } from '../consumers/define.ts';
import { deliverBatch } from '../consumers/deliver.ts';
import type { Pool } from '../database/pool.ts';
import { PgwatchError } from '../errors.ts';
import { Notification, safeId } from '../log/notification.ts';
import { type Page, positionAt, type ReadPage } from '../log/page.ts';
import { learnXid, type Position, reachedId, type Xid } from '../log/position.ts';
import type { Claim } from '../log/progress.ts';
import { isReplayable, replayPages } from '../log/replay.ts';
import type { Reporter } from '../reporter.ts';
import { publishTransition } from '../transitions.ts';
import type { PositionOwner, PositionSaver } from './position-saver.ts';
import type { Tail } from './tail.ts';

export type RunnerOptions = {
  config: Config;
  consumer: Consumer;
  context: ConsumerContext;
  /** Reads the log and saves positions. */
  pool: Pool;
  readPage: ReadPage;
  rebasedId: number;
  saver: PositionSaver;
  reporter: Reporter;
  /** once: gives up after a few attempts, because somebody waits for the end. */
  mode: 'tail' | 'once';
};

/** What a runner is given to work from. */
export type OwnedPosition = Claim & {
  position: Position;
  /** The newest position when the consumer was taken over: what lies before it is a replay. */
  newest: Position;
};

/** How far a runner's replay got, for those who watch. */
export type ReplayProgress = { count: number; fromId: number; reachedId: number; endId: number };

/**
 * Runs one consumer while this process owns it: works through what it missed, then follows the
 * tail; where it falls behind, it reads by itself again. Its position moves only past what is
 * handled.
 */
export class ConsumerRunner implements PositionOwner {
  readonly consumerId: string;
  readonly epoch: number;
  readonly server: string;
  readonly #options: RunnerOptions;
  readonly #stop = new AbortController();
  readonly #newest: Position;
  #position: Position;
  /** True until all that was committed before this runner started has been handled. */
  #isReplay = true;
  #savedAt = performance.now();
  #progress: ReplayProgress | undefined;

  constructor(options: RunnerOptions, ownership: OwnedPosition) {
    this.#options = options;
    this.consumerId = options.consumer.id;
    this.epoch = ownership.epoch;
    this.server = ownership.server;
    this.#position = ownership.position;
    this.#newest = ownership.newest;
  }

  /** What it is replaying; undefined while it follows the tail. */
  get progress(): ReplayProgress | undefined {
    return this.#progress;
  }

  /** True once another process was found to own the consumer. */
  get isFenced(): boolean {
    return this.#stop.signal.aborted;
  }

  onSaved(position: Position, xid: Xid): void {
    this.#position = learnXid(this.#position, position, xid);
  }

  onFenced(): void {
    this.#stop.abort();
  }

  /** Works until the signal aborts or the consumer is fenced; lets the running handler finish. */
  async run(signal: AbortSignal, tail: Tail): Promise<void> {
    const stop = AbortSignal.any([signal, this.#stop.signal]);
    while (!stop.aborted) {
      await this.runToEnd(stop);
      if (!stop.aborted) await this.#follow(tail, stop);
      // The tail has ended, and the session with it.
      if (tail.hasEnded) break;
    }
  }

  /** Works through everything that is visible now, by reads of its own. */
  async runToEnd(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#stop.signal]);
    // What was open comes first: a window of the last owner's, or of the tail's.
    if (this.#position.window !== null) await this.#readWindow(stop);
    if (this.#isReplay && !stop.aborted) {
      await this.#readTo(this.#newest, stop);
      if (!stop.aborted) this.#endReplay();
    }
    if (!stop.aborted) await this.#readWindow(stop);
  }

  async #follow(tail: Tail, stop: AbortSignal): Promise<void> {
    const subscription = await tail.join();
    if (!subscription) return;
    if (stop.aborted) {
      tail.leave(subscription);
      return;
    }
    const onStop = () => tail.leave(subscription);
    stop.addEventListener('abort', onStop, { once: true });
    try {
      await this.#readTo(subscription.joint, stop);
      publishTransition({ type: 'tail_joined', consumerId: this.consumerId });
      for (;;) {
        const page = await subscription.take();
        if (!page || stop.aborted) break;
        await this.#work(this.#ownPart(page), stop);
      }
    } finally {
      stop.removeEventListener('abort', onStop);
      tail.leave(subscription);
      publishTransition({ type: 'tail_left', consumerId: this.consumerId });
    }
  }

  /** Reads what lies between its own position and a newer one, so that both are the same. */
  async #readTo({ doneSnapshot, doneId }: Position, stop: AbortSignal): Promise<void> {
    const window = { snapshot: doneSnapshot, endId: doneId, id: 0, xid: null };
    this.#position = { ...this.#position, window };
    await this.#readWindow(stop);
  }

  /** Reads and works page after page until the window closes. */
  async #readWindow(stop: AbortSignal): Promise<void> {
    for (let hasMore = true; hasMore && !stop.aborted; ) {
      const { pool, config, consumer, rebasedId } = this.#options;
      const limit = { rows: config.maxBatchSize, bytes: config.maxBatchBytes };
      if (isReplayable(this.#position, limit.rows)) {
        const options = {
          pool,
          schema: config.schema,
          channels: consumer.channels,
          limit,
          rebasedId,
        };
        for await (const page of replayPages(options, this.#position)) {
          await this.#work(page, stop);
          if (stop.aborted) return;
        }
        return;
      }
      const page = await this.#read(this.#position);
      hasMore = page.hasMore;
      await this.#work(page, stop);
    }
  }

  async #read(position: Position): Promise<Page> {
    const { pool, readPage, config, consumer, rebasedId } = this.#options;
    return pool.withClient((client) =>
      readPage(client, {
        position,
        channels: consumer.channels,
        limit: { rows: config.maxBatchSize, bytes: config.maxBatchBytes },
        rebasedId,
      }),
    );
  }

  async #work(page: Page, stop: AbortSignal): Promise<void> {
    const { consumer, context, reporter, mode } = this.#options;
    if (this.#isReplay) this.#countReplay(page);
    const size = consumer.batchSize ?? page.rows.length;
    for (let index = 0; index < page.rows.length; index += size) {
      const rows = page.rows.slice(index, index + size);
      const notifications = rows.map(
        (row) => new Notification(row, { isReplay: this.#isReplay, attempt: 1 }),
      );
      const outcome = stop.aborted
        ? 'stopped'
        : await deliverBatch(
            { consumer, context, reporter, stop, attemptsMax: ATTEMPTS_MAX[mode] },
            notifications,
          );
      if (outcome !== 'done') this.#advance(page, index);
      if (outcome === 'stopped') return;
      if (outcome === 'given_up') throw givenUp(consumer.id, notifications);
      if (this.#progress) this.#progress.count += rows.length;
      if (performance.now() - this.#savedAt > SAVE_MS) this.#advance(page, index + rows.length);
    }
    this.#position = page.after;
    if (page.rows.length > 0) this.#save();
    else if (page.after !== page.before) this.#options.saver.saveLazily(this, page.after);
  }

  /** Moves the position behind the first so many rows of a page. */
  #advance(page: Page, count: number): void {
    const last = page.rows[count - 1];
    if (!last) return;
    this.#position = positionAt(page, safeId(last[0]));
    this.#save();
  }

  #save(): void {
    this.#savedAt = performance.now();
    this.#options.saver.save(this, this.#position);
  }

  #ownPart(page: Page): Page {
    const { channels } = this.#options.consumer;
    return { ...page, rows: page.rows.filter((row) => channels.includes(row[3])) };
  }

  #countReplay(page: Page): void {
    const reached = reachedId(this.#position);
    if (!this.#progress && page.rows.length > 0) {
      publishTransition({ type: 'replay_started', consumerId: this.consumerId });
      this.#progress = { count: 0, fromId: reached, reachedId: reached, endId: page.window.endId };
    }
    if (this.#progress) {
      this.#progress.reachedId = reached;
      this.#progress.endId = Math.max(page.window.endId, this.#progress.endId);
    }
  }

  #endReplay(): void {
    this.#isReplay = false;
    const count = this.#progress?.count ?? 0;
    this.#progress = undefined;
    publishTransition({ type: 'replay_finished', consumerId: this.consumerId, count });
  }
}

/** While a long page is worked, its position is saved so often. */
const SAVE_MS = 500;
const ATTEMPTS_MAX = { tail: Number.POSITIVE_INFINITY, once: 4 };

function givenUp(consumerId: string, [first]: Notification[]): PgwatchError {
  return new PgwatchError(
    'handler_failed',
    `${consumerId} fails on notification ${first?.id}, ${ATTEMPTS_MAX.once} times now, and was given up. It comes first at the next run.`,
  );
}
