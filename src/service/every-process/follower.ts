import type { Config } from '../../config/define.ts';
import { Control } from '../../daemon/control/control.ts';
import { interruption, isFatal, reconnectMs } from '../../daemon/control/interruption.ts';
import { retryListening, startListening } from '../../daemon/control/listening.ts';
import { logSessions } from '../../daemon/control/log-sessions.ts';
import { SessionPool } from '../../daemon/control/session-pool.ts';
import { Tail } from '../../daemon/tail/tail.ts';
import { requireCurrentSchema } from '../../database/migrate.ts';
import { Pool } from '../../database/pool.ts';
import { usualTarget } from '../../database/target.ts';
import { toError } from '../../errors.ts';
import { channelTest } from '../../log/channels.ts';
import type { Gap } from '../../log/gap.ts';
import type { LogRow } from '../../log/notification.ts';
import { requireOwnCluster } from '../../log/origin.ts';
import { type Page, pageReader, type ReadPage } from '../../log/page.ts';
import type { From } from '../../log/positions/beginning.ts';
import { type Position, reachedId } from '../../log/positions/position.ts';
import { isStillThere, readBounds } from '../../log/reading.ts';
import type { Reporter } from '../../reporter.ts';
import { formatDuration, sleep } from '../../time.ts';
import { beginAt, gapAfter, mayLack, type Reached, readChecked } from './place.ts';

export type FollowerOptions = {
  config: Config;
  channels: readonly string[];
  from: From;
  reporter: Reporter;
  /** Called once it is fixed where it begins. */
  onReady(): void;
};

/** What comes next: a row, and whether it was read late; or rows that were removed unread. */
export type Followed = { row: LogRow; isReplay: boolean } | { gap: Gap };

/**
 * Follows the log for this process alone. Its position lives in memory, and outlives connections:
 * each session reads from there to the end of the log, then follows the tail. It writes nothing.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #logPool: Pool;
  readonly #isRead: (row: LogRow) => boolean;
  #position: Position | undefined;
  #reached: Reached = { completeId: 0, at: new Date() };
  #hasConnected = false;

  constructor(options: FollowerOptions) {
    const { config, reporter, channels } = options;
    this.#options = options;
    const isRead = channelTest(channels);
    this.#isRead = (row) => isRead(row[3]);
    this.#logPool = new Pool({
      ...usualTarget(config),
      ...logSessions(config),
      size: CONNECTIONS,
      onError: (error) => reporter.debug(`A pooled connection failed: ${error.message}`),
    });
  }

  /**
   * Yields until the signal aborts; reconnects indefinitely. While the caller is busy with a row,
   * nothing more is read than a bounded queue.
   * @throws PgwatchError if waiting cannot help, like Daemon.run()
   */
  async *run(signal: AbortSignal): AsyncGenerator<Followed, void> {
    const { config, reporter } = this.#options;
    let failures = 0;
    try {
      while (!signal.aborted) {
        try {
          yield* this.#session(signal, () => {
            failures = 0;
          });
        } catch (thrown) {
          const error = toError(thrown);
          if (signal.aborted) return;
          if (isFatal(error, this.#hasConnected)) throw error;
          failures += 1;
          const waitMs = reconnectMs(config, failures);
          reporter.warn(`${interruption(error)} Trying again in ${formatDuration(waitMs)}.`);
          await sleep(waitMs, signal);
        }
      }
    } finally {
      await this.#logPool.close();
    }
  }

  async *#session(signal: AbortSignal, onWorking: () => void): AsyncGenerator<Followed, void> {
    const { config, channels, reporter } = this.#options;
    const control = await Control.open(config, null);
    this.#hasConnected = true;
    const ended = new AbortController();
    const over = AbortSignal.any([control.lost, ended.signal]);
    const alive = AbortSignal.any([signal, over]);
    control.lost.addEventListener('abort', () => this.#logPool.reset());
    try {
      const { schema } = config;
      const pool = new SessionPool({
        pool: this.#logPool,
        schema,
        reporter,
        ended: over,
        stop: signal,
        mode: 'tail',
      });
      const rebasedId = await control.run(async (client) => {
        await requireCurrentSchema(client, config);
        return requireOwnCluster(client, config);
      });
      await startListening({ config, control, reporter, channels });
      yield* this.#begin(control);
      onWorking();
      const readPage = this.#noting(pageReader(schema));
      const tail = new Tail({ config, control, pool, readPage, rebasedId, channels });
      const running = tail.run(alive);
      // Its failure is thrown below, once the caller asks for more.
      running.catch(() => ended.abort());
      retryListening({ config, control, reporter, channels }, alive).catch(() => {});
      yield* this.#follow({ tail, pool, rebasedId }, alive);
      ended.abort();
      await running;
      if (control.lost.aborted && !signal.aborted) throw control.lost.reason;
    } catch (thrown) {
      // The end of the connection caused whatever else failed.
      throw control.lost.aborted ? control.lost.reason : thrown;
    } finally {
      ended.abort();
      await control.close();
    }
  }

  /** Fixes where it begins, or checks that the server has not lost what was read. */
  async *#begin(control: Control): AsyncGenerator<Followed, void> {
    const { config, from, reporter, onReady } = this.#options;
    const { schema } = config;
    const before = this.#position;
    if (before && (await control.run((client) => isStillThere(client, schema, before)))) return;
    const { at } = this.#reached;
    const { position, completeId } = await control.run((client) =>
      beginAt(client, schema, before ? 'now' : from),
    );
    this.#position = position;
    this.#reached = { completeId, at: new Date() };
    if (!before) return onReady();
    reporter.warn('The server has lost what was read: it was restored, or another took over.');
    // Whatever is in the log may be something else than what was read under the same ids.
    const gap = gapAfter({ completeId: 0, at }, { oldest: null, lastId: completeId });
    if (gap) yield { gap };
  }

  async *#follow(
    inside: { tail: Tail; pool: SessionPool; rebasedId: number },
    alive: AbortSignal,
  ): AsyncGenerator<Followed, void> {
    const { tail, pool } = inside;
    const { channels } = this.#options;
    const { schema } = this.#options.config;
    while (!alive.aborted) {
      const subscription = await tail.join(channels);
      if (!subscription) return;
      const leave = () => tail.leave(subscription);
      alive.addEventListener('abort', leave, { once: true });
      try {
        yield* this.#readTo(subscription.joint, inside, alive);
        if (!alive.aborted) this.#position = subscription.joint;
        for (let page = await subscription.take(); page; page = await subscription.take()) {
          // As after this process was frozen.
          const gap = mayLack(this.#reached)
            ? gapAfter(this.#reached, await pool.withClient((client) => readBounds(client, schema)))
            : null;
          yield* this.#deliver(page, gap, false);
        }
      } finally {
        alive.removeEventListener('abort', leave);
        leave();
      }
    }
  }

  /** Reads what lies between its own position and a newer one. Afterwards both are the same. */
  async *#readTo(
    { doneSnapshot, doneId }: Position,
    { pool, rebasedId }: { pool: SessionPool; rebasedId: number },
    alive: AbortSignal,
  ): AsyncGenerator<Followed, void> {
    const { config, channels } = this.#options;
    const { schema, maxBatchSize, maxBatchBytes } = config;
    const readPage = pageReader(schema);
    const limit = { rows: maxBatchSize, bytes: maxBatchBytes };
    for (let isWhole = false; !isWhole && !alive.aborted; ) {
      const read = this.#position as Position;
      // A window that the tail has left open comes first.
      isWhole = read.window === null;
      const whole = { snapshot: doneSnapshot, endId: doneId, id: 0, xid: null };
      this.#position = { ...read, window: read.window ?? whole };
      for (let hasMore = true; hasMore && !alive.aborted; ) {
        const request = { position: this.#position, channels, limit, rebasedId };
        const options = { schema, readPage, reached: this.#reached };
        const { page, gap } = await pool.withClient((client) =>
          readChecked(client, request, options),
        );
        hasMore = page.hasMore;
        yield* this.#deliver(page, gap, true);
      }
    }
  }

  /** A reader for the tail that notes that there was nothing more. */
  #noting(readPage: ReadPage): ReadPage {
    return async (client, request) => {
      const page = await readPage(client, request);
      const isNothing = page.after === page.before;
      if (isNothing && request.position === this.#position) this.#note(reachedId(page.after));
      return page;
    };
  }

  async *#deliver(page: Page, gap: Gap | null, isReplay: boolean): AsyncGenerator<Followed, void> {
    if (gap) {
      yield { gap };
      this.#note(gap.lastId);
    }
    for (const row of page.rows) if (this.#isRead(row)) yield { row, isReplay };
    this.#position = page.after;
    this.#note(reachedId(page.after));
  }

  /** Up to that id, it has received what there was, or has been told of the gap. */
  #note(id: number): void {
    const completeId = Math.max(this.#reached.completeId, id);
    this.#reached = { completeId, at: new Date() };
  }
}

/** One for the tail, one for its own reads. */
const CONNECTIONS = 2;
