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
 * Removes what is older than `retention`, again and again: partitions that are old as a whole, if
 * nobody needs anything of them. Nothing that goes wrong with it ends the daemon.
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

/** What cleaning by itself remembers from one time to the next. */
export class Retention {
  readonly #config: Config;
  readonly #reporter: Reporter;
  /** Who was said to need something. */
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
      this.#reporter.warn(`Old notifications cannot be removed: ${toError(thrown).message}`);
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
    // Such things go with their notifications: without any that went, there is nothing to forget.
    if (results.some(isRemoved)) await forgetRemoved(client, { ...options, signal });
    this.#report(results, before);
  }

  #report(results: readonly Cleaned[], before: Date): void {
    const removed = results.filter(isRemoved);
    if (removed.length > 0) {
      const counts = removed.map((cleaned) => cleaned.removed);
      const sum = counts.reduce<number>((total, count) => total + (count ?? 0), 0);
      // Of a partition without statistics nobody knows how many it held.
      const what = counts.includes(null)
        ? 'all notifications'
        : `about ${countOf(sum, 'notification')}`;
      this.#reporter.info(
        `Removed ${what} from before ${before.toISOString()} (${countOf(removed.length, 'partition')}).`,
      );
    }
    const pins = results.flatMap((cleaned) => cleaned.pins);
    const needy = [...new Set(pins.map(({ consumerId }) => consumerId))].sort().join(', ');
    if (needy !== '' && needy !== this.#warnedOf) {
      this.#reporter.warn(
        `Notifications from before ${before.toISOString()} stay, because consumers need them: ${needy}. "pgwatch cleanup --before ${before.toISOString()} --dry-run" says more.`,
      );
    }
    this.#warnedOf = needy;
  }
}

/** True where notifications went; what was empty before was told of when it was emptied. */
function isRemoved({ removed, outcome }: Cleaned): boolean {
  return removed !== 0 && (outcome === 'dropped' || outcome === 'emptied');
}

/** Not at once: those who begin may have much to catch up on. */
const FIRST_MS = 300_000;
const AGAIN_MS = 3_600_000;
/** A connection of the pool is taken that long, for each partition. */
const PATIENCE_MS = 5000;
