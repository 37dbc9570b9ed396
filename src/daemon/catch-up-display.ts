import type { Reporter } from '../reporter.ts';
import { formatDuration } from '../time.ts';
import { subscribeTransitions } from '../transitions.ts';
import { countOf } from '../words.ts';
import type { AtWork } from './owned/at-work.ts';
import type { CatchUpProgress } from './owned/catch-up.ts';

/**
 * Shows how consumers catch up: a bar that is redrawn on a terminal, a line every few seconds
 * elsewhere.
 */
export class CatchUpDisplay {
  readonly #reporter: Reporter;
  readonly #atWork: AtWork;
  readonly #then: string;
  readonly #shownCounts = new Map<string, number>();
  readonly #startedAt = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;

  /** @param mode what a consumer does once it has caught up */
  constructor(reporter: Reporter, atWork: AtWork, mode: 'tail' | 'once') {
    this.#then = mode === 'tail' ? 'following the tail' : 'done';
    this.#reporter = reporter;
    this.#atWork = atWork;
    const intervalMs = reporter.isInteractive ? REDRAW_MS : LINE_MS;
    this.#timer = setInterval(() => this.#show(), intervalMs);
    this.#timer.unref();
    this.#unsubscribe = subscribeTransitions((transition) => {
      if (transition.type === 'catching_up') {
        this.#startedAt.set(transition.consumerId, performance.now());
      } else if (transition.type === 'caught_up') {
        this.#finish(transition.consumerId, transition.count);
      }
    });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#unsubscribe();
    this.#reporter.status('');
  }

  #finish(consumerId: string, count: number): void {
    const startedAt = this.#startedAt.get(consumerId);
    this.#startedAt.delete(consumerId);
    this.#shownCounts.delete(consumerId);
    // Without a terminal the line below says it, and the timer shows the other consumers.
    if (this.#reporter.isInteractive) this.#show();
    const took = startedAt === undefined ? 0 : performance.now() - startedAt;
    this.#reporter.info(
      count === 0
        ? `${consumerId} missed nothing; ${this.#then}.`
        : `${consumerId} handled ${countOf(count, 'missed notification')} in ` +
            `${formatDuration(took)}; ${this.#then}.`,
      { consumer: consumerId, handled: count },
    );
  }

  #show(): void {
    const lines = [...this.#startedAt].flatMap(([consumerId, startedAt]) => {
      const progress = this.#atWork.get(consumerId)?.runner.catchUp.progress;
      return progress ? [{ consumerId, progress, elapsedMs: performance.now() - startedAt }] : [];
    });
    const [first] = lines;
    if (!this.#reporter.isInteractive) {
      for (const line of lines) {
        // A consumer that makes no progress is reported elsewhere: its handler fails, or is slow.
        if (this.#shownCounts.get(line.consumerId) === line.progress.count) continue;
        this.#shownCounts.set(line.consumerId, line.progress.count);
        this.#reporter.info(
          `${line.consumerId} is catching up: ${describe(line.progress, line.elapsedMs)}.`,
          {
            consumer: line.consumerId,
            handled: line.progress.count,
          },
        );
      }
    } else if (first) {
      const rest = lines.length > 1 ? ` (+${lines.length - 1} more)` : '';
      const text = `${describe(first.progress, first.elapsedMs)}${rest}`;
      const label = first.consumerId.slice(0, 24);
      const width = Math.max(
        0,
        Math.min(40, this.#reporter.columns - label.length - text.length - 3),
      );
      this.#reporter.status(`${label} ${bar(fraction(first.progress), width)} ${text}`);
    } else {
      this.#reporter.status('');
    }
  }
}

/** Ids are sparse, so the time left is an estimate. */
function describe(progress: CatchUpProgress, elapsedMs: number): string {
  const done = fraction(progress);
  const rate = Math.round(progress.count / Math.max(elapsedMs / 1000, 0.001));
  const left = done > 0 ? `, ${formatDuration((elapsedMs / done) * (1 - done))} left` : '';
  return `${Math.floor(done * 100)} %, ${rate.toLocaleString('en')}/s${left}`;
}

function fraction({ fromId, reachedId, endId }: CatchUpProgress): number {
  return endId > fromId ? Math.min(1, Math.max(0, (reachedId - fromId) / (endId - fromId))) : 1;
}

function bar(done: number, width: number): string {
  const full = Math.round(done * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

const REDRAW_MS = 100;
const LINE_MS = 5000;
