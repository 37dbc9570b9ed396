import type { ClientBase } from 'pg';
import type { Config } from '../config/define.ts';
import { isLocked } from '../database/passing.ts';
import { toError } from '../errors.ts';
import { type Cleaned, cleanLog, forgetRemoved } from '../log/retention/clean-log.ts';
import { isCleanupFree } from '../log/retention/steps.ts';
import { timeAgo } from '../log/retention/time-ago.ts';
import type { Reporter } from '../reporter.ts';
import { sleep } from '../time.ts';
import { countOf } from '../words.ts';
import type { UpkeepOptions } from './prepare.ts';

/**
 * Periodically removes notifications older than `retention`: whole partitions in which everything
 * is that old and nothing is still needed. Its failures never end the daemon.
 */
export async function runRetention(
  { config, pool, reporter }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  const retention = new Retention(config, reporter);
  for (let waitMs = FIRST_MS; config.retentionMs !== null && !signal.aborted; waitMs = AGAIN_MS) {
    await sleep(waitMs, signal);
    if (signal.aborted) return;
    await retention.runOnce((work) => pool.withClient(work, isLocked), signal);
  }
}

/** The automatic cleanup, with what it remembers from one run to the next. */
export class Retention {
  readonly #config: Config;
  readonly #reporter: Reporter;
  /** The consumers named in the last warning. */
  #warnedOf = '';

  constructor(config: Config, reporter: Reporter) {
    this.#config = config;
    this.#reporter = reporter;
  }

  async runOnce(
    withClient: (work: (client: ClientBase) => Promise<void>) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await withClient((client) => this.#clean(client, signal));
    } catch (thrown) {
      if (isLocked(thrown) || signal.aborted) return;
      this.#reporter.warn(`Could not remove old notifications: ${toError(thrown).message}`);
    }
  }

  async #clean(client: ClientBase, signal: AbortSignal): Promise<void> {
    const { schema, retentionMs } = this.#config;
    const before = await timeAgo(client, retentionMs ?? 0);
    const options = {
      schema,
      before,
      needed: 'keep',
      scope: 'whole',
      patienceMs: PATIENCE_MS,
    } as const;
    if (!(await isCleanupFree(client, schema))) return;
    const results: Cleaned[] = [];
    for await (const cleaned of cleanLog(client, { ...options, signal })) results.push(cleaned);
    // Records are forgotten with their notifications: if none was removed, there is nothing to do.
    if (results.some(isRemoved)) await forgetRemoved(client, { ...options, signal });
    this.#report(results, before);
  }

  #report(results: readonly Cleaned[], before: Date): void {
    const removed = results.filter(isRemoved);
    if (removed.length > 0) {
      const counts = removed.map((cleaned) => cleaned.removed);
      const sum = counts.reduce<number>((total, count) => total + (count ?? 0), 0);
      // Without statistics, the number of notifications in a partition is unknown.
      const what = counts.includes(null)
        ? 'all notifications'
        : `about ${countOf(sum, 'notification')}`;
      this.#reporter.info(
        `Removed ${what} from before ${before.toISOString()} ` +
          `(${countOf(removed.length, 'partition')}).`,
      );
    }
    const pins = results.flatMap((cleaned) => cleaned.pins);
    const needy = [...new Set(pins.map(({ consumerId }) => consumerId))].sort().join(', ');
    if (needy !== '' && needy !== this.#warnedOf) {
      this.#reporter.warn(
        `Notifications from before ${before.toISOString()} are kept because consumers need ` +
          `them: ${needy}. For details: ` +
          `pgwatch cleanup --before ${before.toISOString()} --dry-run`,
      );
    }
    this.#warnedOf = needy;
  }
}

/**
 * True if notifications were removed; a partition that was already empty has been reported before.
 */
function isRemoved({ removed, outcome }: Cleaned): boolean {
  return removed !== 0 && (outcome === 'dropped' || outcome === 'emptied');
}

/** Not at once: consumers that start may have a lot to catch up on. */
const FIRST_MS = 300_000;
const AGAIN_MS = 3_600_000;
/** How long cleanup may hold a pooled connection for each partition. */
const PATIENCE_MS = 5000;
