import type { Config } from '../../config/define.ts';
import type { Clients } from '../../database/pool.ts';
import { doorbellNames } from '../../log/channels.ts';
import { JOINT_TEXT_MAX } from '../../log/content-sql.ts';
import { armDoorbell, disarmDoorbell, mayArmDoorbell } from '../../log/doorbell.ts';
import type { Page, ReadPage } from '../../log/page.ts';
import { readNewestPosition } from '../../log/positions/beginning.ts';
import { type Position, snapshotXmin } from '../../log/positions/position.ts';
import { sleep } from '../../time.ts';
import { publishTransition } from '../../transitions.ts';
import type { Control } from '../control/control.ts';
import { TailSubscription } from './tail-subscription.ts';

export type TailOptions = {
  config: Config;
  pool: Clients;
  control: Control;
  readPage: ReadPage;
  rebasedId: number;
  /** The channels of all of the daemon's consumers. */
  channels: readonly string[];
};

/**
 * Follows the newest end of the log for all consumers that have caught up: one read serves them
 * all.
 *
 *   awake ── some empty reads ──▶ arming ── locks held, all older writers ended ──▶ asleep
 *     ▲                             │ locks unavailable, or rows        ring, or poll │
 *     └─────────────────────────────┴─────────── rows, one read after another ◀───────┘
 *
 * Awake, it reads every few milliseconds and writers need not ring. Asleep, it holds the doorbell's
 * locks. Arming, it has the locks, but writers that checked before may be about to commit. With
 * more channels than it may lock, it polls several times a second instead.
 */
export class Tail {
  readonly #options: TailOptions;
  /** What it locks while it sleeps. */
  readonly #names: readonly string[];
  readonly #subscriptions = new Set<TailSubscription>();
  readonly #joining = new Set<Joining>();
  /** Those in #joining that came before the snapshot of the current read was taken. */
  #due: readonly Joining[] = [];
  #hasEnded = false;
  #position: Position | undefined;
  #onJoin = () => {};

  constructor(options: TailOptions) {
    this.#options = options;
    this.#names = doorbellNames(options.channels);
  }

  /**
   * Joins at the end of a read that begins after this call: whatever is not visible at that joint
   * comes as pages. Resolves to undefined if the tail has ended.
   * @param channels the channels whose contents are needed. Long content is not read here, because
   *   all other consumers would wait for it; it ends the subscription.
   */
  async join(channels: readonly string[]): Promise<TailSubscription | undefined> {
    if (this.#hasEnded) return undefined;
    const joined = new Promise<TailSubscription | undefined>((resolve) =>
      this.#joining.add({ channels, resolve }),
    );
    this.#onJoin();
    return joined;
  }

  /** True once it has stopped reading. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Ends a subscription. */
  leave(subscription: TailSubscription): void {
    subscription.end();
    this.#subscriptions.delete(subscription);
  }

  /** Reads until the signal aborts, then ends all subscriptions. */
  async run(signal: AbortSignal): Promise<void> {
    const { control, config } = this.#options;
    signal.addEventListener('abort', () => this.#onJoin(), { once: true });
    try {
      const mayArm = await control.run((client) => mayArmDoorbell(client, this.#names));
      const pollMs = mayArm ? config.pollIntervalMs : Math.min(config.pollIntervalMs, OFTEN_MS);
      while (!signal.aborted) {
        if (this.#subscriptions.size === 0 && this.#joining.size === 0) {
          this.#position = undefined;
          await this.#waitForJoin();
        } else if (!mayArm || !control.isListening) {
          await this.#poll(pollMs, signal);
        } else {
          await this.#stayAwake(signal);
          await this.#sleepArmed(signal);
        }
      }
    } finally {
      this.#hasEnded = true;
      for (const subscription of this.#subscriptions) subscription.end();
      for (const { resolve } of this.#joining) resolve(undefined);
    }
  }

  async #stayAwake(signal: AbortSignal): Promise<void> {
    for (let emptyReads = 0; emptyReads < EMPTY_READS_MAX && !signal.aborted; ) {
      const page = await this.#read();
      emptyReads = page.rows.length === 0 ? emptyReads + 1 : 0;
      if (!page.hasMore) await sleep(AWAKE_MS * (emptyReads + 1), signal);
    }
  }

  /**
   * Sleeps while it holds the doorbell's locks. Releases them and returns when it is worth staying
   * awake.
   */
  async #sleepArmed(signal: AbortSignal): Promise<void> {
    const { control, config } = this.#options;
    const names = this.#names;
    let hasTried = false;
    const newerXid = await control.run(async (client) => {
      // A canceled attempt may hold some of the locks already, and would take them twice.
      if (hasTried) await disarmDoorbell(client, config.schema, names);
      hasTried = true;
      return armDoorbell(client, config.schema, names);
    });
    if (newerXid === null) return;
    let isSafe = false;
    let busyReads = 0;
    for (let waitMs = ARMING_MS; !signal.aborted && busyReads < BUSY_READS; ) {
      control.doorbell.clear();
      const startedAt = performance.now();
      const page = await this.#read();
      if (this.#subscriptions.size === 0 && this.#joining.size === 0) break;
      if (!isSafe && !page.hasMore && snapshotXmin(page.window.snapshot) >= newerXid) {
        isSafe = true;
        publishTransition({ type: 'asleep' });
      }
      if (!page.hasMore) await this.#waitAsleep(isSafe ? config.pollIntervalMs : waitMs, signal);
      waitMs = Math.min(waitMs * 2, ARMING_MS_MAX);
      const isSoon = !isSafe || page.hasMore || performance.now() - startedAt < BUSY_MS;
      busyReads = page.rows.length > 0 && isSoon ? busyReads + 1 : 0;
    }
    publishTransition({ type: 'awake' });
    if (control.isClosed) return;
    await control.run((client) => disarmDoorbell(client, config.schema, names));
  }

  async #poll(waitMs: number, signal: AbortSignal): Promise<void> {
    const page = await this.#read();
    if (!page.hasMore) await this.#waitAsleep(waitMs, signal);
  }

  async #read(): Promise<Page> {
    const { pool, readPage, config, channels, rebasedId } = this.#options;
    // A joint older than what a consumer has read itself would give it the difference twice.
    if (!this.#position?.window) this.#due = [...this.#joining];
    const page = await pool.withClient(async (client) =>
      readPage(client, {
        position: this.#position ?? (await readNewestPosition(client, config.schema)),
        channels,
        limit: { rows: config.maxBatchSize, bytes: config.maxBatchBytes },
        rebasedId,
        contentMax: JOINT_TEXT_MAX,
      }),
    );
    this.#position = page.after;
    if (page.after !== page.before) this.#handOut(page);
    if (page.after.window === null) this.#admit(page.after);
    return page;
  }

  #handOut(page: Page): void {
    for (const subscription of this.#subscriptions) {
      if (!subscription.push(page)) this.#subscriptions.delete(subscription);
    }
  }

  #admit(joint: Position): void {
    const { maxBatchSize, maxBatchBytes } = this.#options.config;
    for (const joining of this.#due) {
      const limit = { rows: QUEUE_PAGES * maxBatchSize, bytes: QUEUE_PAGES * maxBatchBytes };
      const subscription = new TailSubscription(joint, joining.channels, limit);
      this.#subscriptions.add(subscription);
      this.#joining.delete(joining);
      joining.resolve(subscription);
    }
    this.#due = [];
  }

  /** Also ends when the session ends: see run(). */
  async #waitForJoin(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onJoin = resolve;
    });
  }

  /** Waits for a ring, a consumer that wants to join, or the timeout. */
  async #waitAsleep(durationMs: number, signal: AbortSignal): Promise<void> {
    if (this.#joining.size > 0) return;
    const joined = new AbortController();
    this.#onJoin = () => joined.abort();
    const ended = AbortSignal.any([signal, joined.signal]);
    await this.#options.control.doorbell.wait(durationMs, ended);
  }
}

type Joining = {
  channels: readonly string[];
  resolve: (subscription: TailSubscription | undefined) => void;
};

/** Awake: the pause after a read, longer after each empty one. */
const AWAKE_MS = 2;
const EMPTY_READS_MAX = 5;
/** The poll interval with too many channels for the doorbell. */
const OFTEN_MS = 250;
/** Arming: the first pause, and the longest. */
const ARMING_MS = 5;
const ARMING_MS_MAX = 50;
/**
 * After this many reads with rows in quick succession it stays awake, and writers need not ring.
 */
const BUSY_READS = 3;
const BUSY_MS = 10;
/** How many full pages a consumer may be behind the tail. */
const QUEUE_PAGES = 2;
