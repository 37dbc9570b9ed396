import { checkConsumer } from '../../consumers/check.ts';
import { type Consumer, defineConsumer } from '../../consumers/define.ts';
import { shownJson } from '../../json.ts';
import type { Notification } from '../../log/notification.ts';
import { colorsFor, type ReportFormat, type StreamReporter } from '../../reporter.ts';
import { withDeadline } from '../../time.ts';
import { headingLines, rowLine, rowOf } from './row.ts';

/** What the screen has seen since it was created. */
export type Tally = { handled: number; replayed: number; large: number; latenciesMs: number[] };

/** Shows every notification of the demo on stdout, as a table that scrolls or as JSON lines. */
export class DemoScreen {
  readonly consumer: Consumer;
  readonly tally: Tally = { handled: 0, replayed: 0, large: 0, latenciesMs: [] };
  readonly #reporter: StreamReporter;
  readonly #format: ReportFormat;
  readonly #afterId: number;
  /** Delivery at least once means that a notification may arrive twice. */
  readonly #seenIds = new Set<number>();
  #rows = 0;
  #replayRows = 0;
  #onHandled = () => {};

  /** @param run.afterId notifications after this id count as handled in this run */
  constructor(
    reporter: StreamReporter,
    run: { channels: readonly string[]; afterId: number; format: ReportFormat },
  ) {
    this.#reporter = reporter;
    this.#format = run.format;
    this.#afterId = run.afterId;
    const definition = defineConsumer({
      id: 'demo_screen',
      channels: run.channels,
      handle: (notification) => this.#show(notification),
    });
    this.consumer = checkConsumer(definition, import.meta.filename, import.meta.dirname);
  }

  /** Waits until `count` notifications of this run were handled, or until the deadline. */
  async untilHandled(count: number, deadlineMs: number): Promise<void> {
    const handled = new Promise<void>((resolve) => {
      this.#onHandled = () => {
        if (this.tally.handled >= count) resolve();
      };
      this.#onHandled();
    });
    await withDeadline(handled, deadlineMs, () => new Error('too slow')).catch(() => {});
  }

  #show(notification: Notification): void {
    const row = rowOf(notification, Date.now());
    if (row.isReplay) this.tally.replayed += 1;
    else this.tally.latenciesMs.push(row.latencyMs);
    if (row.isLarge) this.tally.large += 1;
    if (row.id > this.#afterId) this.#seenIds.add(row.id);
    this.tally.handled = this.#seenIds.size;
    if (this.#format === 'json') this.#reporter.data(shownJson(row));
    else if (this.#isWorthALine(row.isReplay)) this.#print(row);
    this.#onHandled();
  }

  /** A long replay would scroll away everything else: it is counted instead. */
  #isWorthALine(isReplay: boolean): boolean {
    if (isReplay) {
      this.#replayRows += 1;
      return this.#replayRows <= REPLAY_ROWS_MAX;
    }
    const hidden = this.#replayRows - REPLAY_ROWS_MAX;
    if (hidden > 0)
      this.#reporter.data(`        … and ${hidden.toLocaleString('en')} more replayed`);
    this.#replayRows = 0;
    return true;
  }

  #print(row: ReturnType<typeof rowOf>): void {
    const columns = process.stdout.isTTY ? process.stdout.columns : COLUMNS_PIPED;
    const colors = colorsFor(process.stdout);
    if (this.#rows % ROWS_PER_HEADING === 0) {
      for (const line of headingLines(columns, colors)) this.#reporter.data(line);
    }
    this.#rows += 1;
    this.#reporter.data(rowLine(row, columns, colors));
  }
}

const REPLAY_ROWS_MAX = 20;
const ROWS_PER_HEADING = 40;
const COLUMNS_PIPED = 120;
