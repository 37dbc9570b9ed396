import type { Partition } from '../../log/retention/partitions.ts';
import type { StreamReporter } from '../../reporter.ts';
import { partitionText } from './partition-text.ts';

/** Shows the progress: in a status line on a terminal, otherwise as an occasional report. */
export class CleanupProgress {
  readonly #reporter: StreamReporter;
  #name = '';
  #reportedAt = performance.now();

  constructor(reporter: StreamReporter) {
    this.#reporter = reporter;
  }

  begin(partition: Partition): void {
    this.#name = partitionText(partition);
    this.#reporter.status(`Cleaning ${this.#name} …`);
  }

  update(removed: number, total: number): void {
    const text =
      `Cleaning ${this.#name}: removed ${removed.toLocaleString('en')} ` +
      `of ${total.toLocaleString('en')}`;
    this.#reporter.status(text);
    if (this.#reporter.isInteractive || performance.now() - this.#reportedAt < REPORT_MS) return;
    this.#reportedAt = performance.now();
    this.#reporter.info(`${text}.`);
  }

  end(): void {
    this.#reporter.status('');
  }
}

const REPORT_MS = 10_000;
