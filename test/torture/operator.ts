import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { pauseConsumer, resumeConsumer } from '../../src/log/by-hand/pause.ts';
import { cancelReplays, fileReplay } from '../../src/log/by-hand/replay-file.ts';
import type { Stretch } from '../../src/log/by-hand/replay-stretch.ts';
import { type SeekTarget, seekPosition } from '../../src/log/by-hand/seek.ts';
import { planSeek } from '../../src/log/by-hand/seek-plan.ts';
import { cleanLog } from '../../src/log/retention/clean-log.ts';
import type { World } from './world.ts';

/**
 * Operates on a consumer as the commands do, while daemons are at work. Needs BY_HAND_SQL in the
 * database.
 */
export class Operator {
  readonly #world: World;
  readonly #consumerId: string;
  readonly #client: Client;

  constructor(world: World, consumerId: string, client: Client) {
    this.#world = world;
    this.#consumerId = consumerId;
    this.#client = client;
  }

  /**
   * To the newest, by a number of notifications, or to an id between its position and the newest.
   */
  async seekForward(): Promise<void> {
    const { random } = this.#world;
    const dice = random();
    if (dice < 0.2) await this.#seek('now', Number.MAX_SAFE_INTEGER);
    else if (dice < 0.6) await this.#seek({ by: this.#upTo(50) }, Number.MAX_SAFE_INTEGER);
    else {
      const [row] = await this.#world.query<{ id: number }>(
        'select max(id)::float8 as id from pgwatch.notification_log',
      );
      const to = Math.max(1, (row?.id ?? 0) - this.#upTo(50));
      await this.#seek(to, to - 1);
    }
  }

  async seekBack(): Promise<void> {
    await this.#seek({ by: -this.#upTo(this.#world.random() < 0.7 ? 5 : 100) }, 0);
  }

  /**
   * Of a key, or of the last moments; at once, or at a multiple of the original pace. Sometimes it
   * is cancelled.
   */
  async replay(): Promise<void> {
    const { random } = this.#world;
    const consumerId = this.#consumerId;
    const isOfKey = random() < 0.5;
    const stretch: Stretch = {
      consumerId,
      since: isOfKey ? null : new Date(Date.now() - this.#upTo(5000)),
      until: null,
      channel: null,
      key: isOfKey ? `k${this.#upTo(24) - 1}` : null,
      ids: null,
    };
    const speed = random() < 0.3 ? 2 : null;
    const { filed } = await this.#by('replay', () =>
      fileReplay(this.#client, 'pgwatch', { stretch, speed, max: 200 }),
    );
    this.#world.count('notification replayed manually', filed);
    if (random() > 0.3) return;
    await delay(this.#upTo(50));
    await this.#by('cancel', () => cancelReplays(this.#client, 'pgwatch', consumerId));
    this.#world.count('replay cancelled');
  }

  /** Notifications pile up meanwhile. */
  async pause(meanwhile: () => Promise<void>): Promise<void> {
    const consumerId = this.#consumerId;
    const target = { consumerId, until: null };
    await pauseConsumer(this.#client, 'pgwatch', target);
    await delay(100 + this.#upTo(200));
    await meanwhile();
    await resumeConsumer(this.#client, 'pgwatch', target);
    this.#world.count('consumer paused');
  }

  /** Removes everything so far that is not needed. */
  async cleanUp(signal = new AbortController().signal): Promise<void> {
    const patienceMs = 500;
    const options = {
      schema: 'pgwatch',
      before: new Date(),
      scope: 'all',
      needed: 'keep',
    } as const;
    for await (const cleaned of cleanLog(this.#client, { ...options, patienceMs, signal })) {
      const { outcome, removed } = cleaned;
      // The number of their notifications is not always known.
      const isWhole = outcome === 'dropped' || outcome === 'emptied';
      if (isWhole) this.#world.count('partition emptied by cleanup');
      else if (removed) this.#world.count('notification removed by cleanup', removed);
    }
  }

  /** The epoch changes when the owner does; as in the command, the seek is then tried again. */
  async #seek(to: SeekTarget, target: number): Promise<void> {
    const consumerId = this.#consumerId;
    const isDone = await this.#by('seek', async () => {
      await this.#client.query(`select set_config('torture.seek_to', $1, false)`, [String(target)]);
      for (let attempt = 1; attempt <= 5; attempt++) {
        const { epoch } = await planSeek(this.#client, 'pgwatch', { consumerId, to });
        const seek = { consumerId, to, seenEpoch: epoch, mode: 'live' } as const;
        if (await seekPosition(this.#client, 'pgwatch', seek)) return true;
      }
      return false;
    });
    if (isDone) this.#world.count(target === 0 ? 'seek back' : 'seek forward');
  }

  /** Tells the database that the operation is manual. */
  async #by<T>(what: 'seek' | 'replay' | 'cancel', work: () => Promise<T>): Promise<T> {
    await this.#client.query(`select set_config('torture.by_hand', $1, false)`, [what]);
    return work();
  }

  #upTo(most: number): number {
    return 1 + Math.floor(this.#world.random() * most);
  }
}
