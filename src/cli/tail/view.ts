import { once } from 'node:events';
import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import { destroySocket } from '../../database/connect.ts';
import { conditionOf } from '../../log/log-filter.ts';
import { LogNotification } from '../../log/notification.ts';
import { requireOwnCluster } from '../../log/origin.ts';
import type { Page } from '../../log/page.ts';
import type { Position } from '../../log/positions/position.ts';
import { isStillThere, readLastIdAt, readPages, readStart } from '../../log/reading.ts';
import type { Reporter } from '../../reporter.ts';
import type { Format } from './line.ts';
import type { TailRequest } from './request.ts';
import type { Where } from './where.ts';

export type Output = {
  format: Format;
  where: Where | null;
  reporter: Reporter;
  signal: AbortSignal;
};

/** What is shown, and how far it has come: it continues there after a lost connection. */
export class View {
  readonly output: Output;
  readonly #request: TailRequest;
  /**
   * With --since: a notification after this id but written before this time is not shown, because
   * the order of ids is only nearly that of time.
   */
  #start: { id: number; time: Date } | null = null;
  #position: Position | null = null;
  /** The last id to show; null if there is none, or it is not known yet. */
  #lastId: number | null = null;
  #left: number;
  #hasWritten = false;

  constructor(request: TailRequest, output: Output) {
    this.output = output;
    this.#request = request;
    this.#left = request.limit;
  }

  get hasShownNothing(): boolean {
    return !this.#hasWritten;
  }

  /** Reads with a new connection, and returns at the end. */
  async run(client: Client, config: Config): Promise<void> {
    const { schema } = config;
    const { signal } = this.output;
    const rebasedId = await requireOwnCluster(client, config);
    const condition = conditionOf(this.#request.filter);
    const position = await this.#begin(client, schema);
    if (position === null) return;
    // Remembered before anything is read: after a lost connection, "now" would be later.
    this.#position = position;
    const mode = this.#request.isFollowing ? 'follow' : 'once';
    const stop = () => destroySocket(client);
    signal.addEventListener('abort', stop, { once: true });
    const options = { schema, condition, rebasedId, position, mode, signal } as const;
    try {
      for await (const page of readPages(client, options)) {
        await this.#show(page);
        this.#position = page.after;
        const complaint = this.output.where?.complaint();
        if (complaint) this.output.reporter.warn(complaint);
        if (this.#hasEnded(page)) return;
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** The position to continue from; null if nothing is left to show. */
  async #begin(client: Client, schema: string): Promise<Position | null> {
    const { from, filter, until } = this.#request;
    if (this.#position && (await isStillThere(client, schema, this.#position))) {
      return this.#position;
    }
    if (this.#position) {
      this.output.reporter.warn(
        'The server has lost its newest transactions, as after a failover: ' +
          'continuing after what is left of the log.',
      );
      this.#start = null;
      return readStart(client, schema, 'now', conditionOf(filter));
    }
    if (until && 'id' in until) this.#lastId = until.id;
    else if (until && until.time.getTime() <= Date.now()) {
      this.#lastId = await readLastIdAt(client, schema, until.time);
      if (this.#lastId === null) return null;
    }
    const position = await readStart(client, schema, from, conditionOf(filter));
    if (typeof from === 'object' && 'time' in from) {
      this.#start = { id: position.doneId, time: from.time };
    }
    return position;
  }

  async #show(page: Page): Promise<void> {
    const { format, where, signal } = this.output;
    for (const row of page.rows) {
      if (this.#left === 0 || signal.aborted) return;
      const notification = new LogNotification(row, { isReplay: false, attempt: 1 });
      if (!this.#isBetween(notification) || where?.matches(notification) === false) continue;
      this.#left -= 1;
      this.#hasWritten = true;
      if (!process.stdout.write(`${format(notification)}\n`)) {
        await once(process.stdout, 'drain', { signal }).catch(() => {});
      }
    }
  }

  #isBetween({ id, createdAt }: LogNotification): boolean {
    const { until } = this.#request;
    const [start, lastId] = [this.#start, this.#lastId];
    if (start && id > start.id && createdAt < start.time) return false;
    if (lastId !== null && id > lastId) return false;
    return !(until && 'time' in until && createdAt > until.time);
  }

  #hasEnded(page: Page): boolean {
    const { until } = this.#request;
    if (this.#left === 0) return true;
    if (this.#lastId !== null && page.window.id >= this.#lastId) return true;
    const isPast = until !== null && 'time' in until && until.time.getTime() < Date.now();
    return isPast && !page.hasMore;
  }
}
