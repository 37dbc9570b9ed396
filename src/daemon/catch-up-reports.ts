import { type Reporter, StreamReporter } from '../reporter.ts';
import { formatDuration } from '../time.ts';
import { countOf } from '../words.ts';
import type { CatchUp, CatchUpDisplay, CatchUpProgress } from './owned/catch-up.ts';

/**
 * Reports how consumers catch up: with a bar that is redrawn on a terminal, and a line every few
 * seconds elsewhere.
 */
export class CatchUpReports implements CatchUpDisplay {
  readonly #reporter: Reporter;
  /** Null: not a terminal. */
  readonly #terminal: StreamReporter | null;
  readonly #then: string;
  readonly #catchingUp = new Map<string, { catchUp: CatchUp; startedAt: number }>();
  readonly #shownCounts = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  /** @param mode what a consumer does once it has caught up */
  constructor(reporter: Reporter, mode: 'tail' | 'once') {
    this.#then = mode === 'tail' ? 'following the tail' : 'done';
    this.#reporter = reporter;
    this.#terminal = reporter instanceof StreamReporter && reporter.isInteractive ? reporter : null;
    this.#timer = setInterval(() => this.#show(), this.#terminal ? REDRAW_MS : LINE_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#terminal?.status('');
  }

  begin(consumerId: string, catchUp: CatchUp): void {
    this.#catchingUp.set(consumerId, { catchUp, startedAt: performance.now() });
  }

  finish(consumerId: string, count: number): void {
    const startedAt = this.#catchingUp.get(consumerId)?.startedAt;
    this.#catchingUp.delete(consumerId);
    this.#shownCounts.delete(consumerId);
    // Without a terminal the line below says it, and the timer shows the other consumers.
    if (this.#terminal) this.#show();
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
    const lines = [...this.#catchingUp].flatMap(([consumerId, { catchUp, startedAt }]) => {
      const { progress } = catchUp;
      return progress ? [{ consumerId, progress, elapsedMs: performance.now() - startedAt }] : [];
    });
    if (this.#terminal) this.#draw(this.#terminal, lines);
    else this.#report(lines);
  }

  #report(lines: readonly Line[]): void {
    for (const { consumerId, progress, elapsedMs } of lines) {
      // A consumer that makes no progress is reported elsewhere: its handler fails, or is slow.
      if (this.#shownCounts.get(consumerId) === progress.count) continue;
      this.#shownCounts.set(consumerId, progress.count);
      this.#reporter.info(`${consumerId} is catching up: ${describe(progress, elapsedMs)}.`, {
        consumer: consumerId,
        handled: progress.count,
      });
    }
  }

  #draw(terminal: StreamReporter, [first, ...others]: readonly Line[]): void {
    if (!first) {
      terminal.status('');
      return;
    }
    const rest = others.length > 0 ? ` (+${others.length} more)` : '';
    const text = `${describe(first.progress, first.elapsedMs)}${rest}`;
    const label = first.consumerId.slice(0, 24);
    const width = Math.max(0, Math.min(40, terminal.columns - label.length - text.length - 3));
    terminal.status(`${label} ${bar(fraction(first.progress), width)} ${text}`);
  }
}

type Line = { consumerId: string; progress: CatchUpProgress; elapsedMs: number };

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
