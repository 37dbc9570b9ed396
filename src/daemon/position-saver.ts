import { setImmediate } from 'node:timers/promises';
import type { Pool } from '../database/pool.ts';
import { toError } from '../errors.ts';
import type { Position, Xid } from '../log/position.ts';
import { type Claim, type PositionSave, savePositions } from '../log/progress.ts';
import type { Reporter } from '../reporter.ts';
import { backoffMs, sleep } from '../time.ts';
import { publishTransition } from '../transitions.ts';

/** Whose position is saved, and what it is told. */
export type PositionOwner = Readonly<Claim> & {
  /** The position is saved, by a transaction with this xid. */
  onSaved(position: Position, xid: Xid): void;
  /** Another process owns the consumer by now, or the server is another. */
  onFenced(): void;
};

/**
 * Saves positions behind the handlers' backs: the newest of each consumer, those of all consumers
 * in one statement. While one save is under way the next ones gather.
 */
export class PositionSaver {
  readonly #pool: Pool;
  readonly #schema: string;
  readonly #reporter: Reporter;
  readonly #dirty = new Map<PositionOwner, Position>();
  #saving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(pool: Pool, schema: string, reporter: Reporter) {
    this.#pool = pool;
    this.#schema = schema;
    this.#reporter = reporter;
  }

  /** Saves the position soon. */
  save(owner: PositionOwner, position: Position): void {
    this.#dirty.set(owner, position);
    this.#start();
  }

  /**
   * Saves it within a second: for positions that only moved past what the consumer does not want.
   */
  saveLazily(owner: PositionOwner, position: Position): void {
    this.#dirty.set(owner, position);
    this.#timer ??= setTimeout(() => this.#start(), LAZY_MS);
  }

  /** Waits until everything is saved, or has failed to be. */
  async flush(): Promise<void> {
    this.#start();
    await this.#saving;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dirty.size > 0) this.#saving ??= this.#run();
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#dirty.size > 0 && failures < FAILURES_MAX; ) {
      // The consumers that a page was handed to finish within the same turn of the event loop.
      await setImmediate();
      const batch = new Map(this.#dirty);
      this.#dirty.clear();
      try {
        await this.#saveBatch(batch);
        failures = 0;
      } catch (thrown) {
        failures += 1;
        for (const [owner, position] of batch) {
          if (!this.#dirty.has(owner)) this.#dirty.set(owner, position);
        }
        this.#reporter.debug(`Positions are not saved yet: ${toError(thrown).message}`);
        await sleep(backoffMs(failures, { baseMs: 50, capMs: 500 }), NEVER);
      }
    }
    // What cannot be saved is tried again with the next save, and at the end; if it never can,
    // whoever takes over hands it out again: at least once, never not at all.
    this.#saving = undefined;
  }

  async #saveBatch(batch: Map<PositionOwner, Position>): Promise<void> {
    const saves: PositionSave[] = [...batch].map(([{ consumerId, epoch, server }, position]) => {
      return { consumerId, epoch, server, position };
    });
    const { savedIds, xid } = await this.#pool.withClient((client) =>
      savePositions(client, this.#schema, saves),
    );
    publishTransition({ type: 'position_saved', consumerIds: [...savedIds] });
    for (const [owner, position] of batch) {
      if (savedIds.has(owner.consumerId) && xid !== null) owner.onSaved(position, xid);
      else owner.onFenced();
    }
  }
}

const LAZY_MS = 1000;
const FAILURES_MAX = 5;
const NEVER = new AbortController().signal;
