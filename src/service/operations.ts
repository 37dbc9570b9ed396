import type { Config, Duration } from '../config/define.ts';
import { PgwatchError } from '../errors.ts';
import type { StatusReport } from '../inspect/status-report.ts';
import type { WhyReport } from '../inspect/why/report.ts';
import type { Pause } from '../log/by-hand/pause.ts';
import type { SeekTarget } from '../log/by-hand/seek.ts';
import type { RunAccess } from './access.ts';
import { DeadLetters } from './dead-letters.ts';
import type { DoctorReport } from './operations/doctor.ts';
import type { HistoryEntry } from './operations/history.ts';
import type { RowAtReport } from './operations/history-at.ts';
import type { HistoryOptions, RowId } from './operations/history-request.ts';
import type { ReplayReport } from './operations/replay.ts';
import type { SeekReport } from './operations/seek.ts';
import type { ReplaySelection } from './operations/selection.ts';

/** What the commands do by hand: each method returns what its command prints with --json. */
export abstract class Operations {
  readonly #run: RunAccess = async (access, work) => {
    const config = await this.complete();
    const { withAccess } = await import('./access.ts');
    return withAccess(config, access, work);
  };

  readonly deadLetters = new DeadLetters(this.#run);

  /** The complete config. */
  protected abstract complete(): Promise<Config>;

  /** Runs the work with a direct connection. */
  protected get run(): RunAccess {
    return this.#run;
  }

  /**
   * The state of the log, the daemons and the consumers, like "pgwatch status --json".
   * @param consumerIds default: all consumers
   * @throws PgwatchError consumer_unknown
   */
  async status(consumerIds: readonly string[] | null = null): Promise<StatusReport> {
    const { readStatus } = await import('../inspect/status.ts');
    const { statusReport } = await import('../inspect/status-report.ts');
    return this.#run({ mode: 'read', consumers: consumerIds ?? [] }, async (client, { schema }) =>
      statusReport(await readStatus(client, schema, consumerIds)),
    );
  }

  /**
   * Why a notification has or has not arrived, like "pgwatch why --json".
   * @param consumerId default: at each consumer
   * @throws PgwatchError consumer_unknown, input_invalid
   */
  async why(id: number, consumerId: string | null = null): Promise<WhyReport> {
    const { explain } = await import('../inspect/why/explain.ts');
    const { whyReport } = await import('../inspect/why/report.ts');
    const { checkedValue, id: idKind } = await import('./checked-options.ts');
    const checked = checkedValue('why() takes', idKind, id);
    const consumers = consumerId === null ? [] : [consumerId];
    return this.#run({ mode: 'read', consumers }, async (client, config) =>
      whyReport(checked, await explain(client, config, { id: checked, consumerId })),
    );
  }

  /**
   * The newest versions of a row of a captured table, the oldest of them first, like
   * "pgwatch history --json"; or the row at a time; or the SQL that undoes a notification.
   * @param table as in SQL; it may have been dropped
   * @throws PgwatchError history_unknown, undo_impossible, table_unsuitable, input_invalid, usage
   */
  async history(table: string, id: RowId, options?: HistoryOptions): Promise<HistoryEntry[]>;
  async history(
    table: string,
    id: RowId,
    options: Pick<HistoryOptions, 'since'> & { at: Date },
  ): Promise<RowAtReport>;
  async history(
    table: string,
    id: RowId,
    options: Pick<HistoryOptions, 'since'> & { undo: number },
  ): Promise<{ notificationId: number; sql: string }>;
  async history(
    table: string,
    id: RowId,
    options: HistoryOptions & { at?: Date; undo?: number } = {},
  ): Promise<HistoryEntry[] | RowAtReport | { notificationId: number; sql: string }> {
    const { readHistory } = await import('./operations/history-request.ts');
    const read = readHistory(table, id, options);
    return this.#run({ mode: 'read' }, read);
  }

  /**
   * Examines the database and what runs on it, like "pgwatch doctor --json". Changes nothing.
   * @throws PgwatchError connection_failed: it cannot examine what it cannot reach
   */
  async doctor(): Promise<DoctorReport> {
    const { consultDoctor } = await import('./operations/doctor.ts');
    return consultDoctor(await this.complete());
  }

  /**
   * Keeps every process from running a consumer: calls that are under way finish, and nothing more
   * is delivered until it is resumed.
   * @param until a time, or a duration from now, like '2h'; default: until it is resumed
   * @throws PgwatchError consumer_unknown; input_invalid if the time has passed
   */
  async pause(consumerId: string, until: Date | Duration | null = null): Promise<Pause> {
    const { pauseConsumer } = await import('../log/by-hand/pause.ts');
    const { endOf } = await import('./operations/selection.ts');
    const end = endOf(until);
    return this.#run({ mode: 'change', consumers: [consumerId] }, async (client, { schema }) => {
      const paused = await pauseConsumer(client, schema, { consumerId, until: end });
      if (paused) return paused;
      throw new PgwatchError('consumer_unknown', `The consumer "${consumerId}" has been removed.`);
    });
  }

  /**
   * Lets processes run a consumer again.
   * @returns false if it was not paused
   * @throws PgwatchError consumer_unknown
   */
  async resume(consumerId: string): Promise<boolean> {
    const { resumeConsumer } = await import('../log/by-hand/pause.ts');
    return this.#run({ mode: 'change', consumers: [consumerId] }, (client, { schema }) =>
      resumeConsumer(client, schema, { consumerId }),
    );
  }

  /**
   * Moves the position of a consumer, like "pgwatch seek --json": it continues from there.
   * @param to 'start', 'now', the id of the next notification, a time, or a number of notifications
   *   of its channels: { by: -100 }
   * @param options.live moves it even while a process runs the consumer; default false
   * @param options.dryRun only reports what would happen; default false
   * @throws PgwatchError consumer_unknown, consumer_running, consumer_changed, input_invalid, usage
   */
  async seek(
    consumerId: string,
    to: SeekTarget,
    options: { live?: boolean; dryRun?: boolean } = {},
  ): Promise<SeekReport> {
    const { checkedOptions, flag } = await import('./checked-options.ts');
    const { checkedTarget } = await import('./operations/selection.ts');
    const { move, planMove, seekReport } = await import('./operations/seek.ts');
    const checked = checkedOptions('seek()', options, { live: flag, dryRun: flag });
    const { live = false, dryRun = false } = checked;
    const request = { consumerId, to: checkedTarget(to), live };
    return this.#run({ mode: 'change', consumers: [consumerId] }, async (client, { schema }) => {
      const plan = await planMove(client, schema, request);
      if (dryRun) return seekReport(consumerId, plan);
      const moved = await move(client, schema, request, plan);
      return seekReport(consumerId, moved.plan, moved.sought);
    });
  }

  /**
   * Delivers notifications to a consumer again, like "pgwatch replay --no-wait --json". Returns
   * once they are filed; processes that run the consumer deliver them, each key in order.
   * @param selection at least one condition
   * @param options.speed how many times as fast as they were written; default: as fast as possible
   * @param options.dryRun only counts them; default false
   * @throws PgwatchError consumer_unknown; input_invalid, also if it is more than can be filed at
   *   once
   */
  async replay(
    consumerId: string,
    selection: ReplaySelection,
    options: { speed?: number; dryRun?: boolean } = {},
  ): Promise<ReplayReport> {
    const { checkedOptions, flag } = await import('./checked-options.ts');
    const { speed, stretchOf } = await import('./operations/selection.ts');
    const { requestReplay } = await import('./operations/replay.ts');
    const checked = checkedOptions('replay()', options, { speed, dryRun: flag });
    const request = {
      stretch: stretchOf(consumerId, selection),
      speed: checked.speed ?? null,
      dryRun: checked.dryRun ?? false,
    };
    return this.#run({ mode: 'change', consumers: [consumerId] }, async (client, { schema }) => {
      const { report } = await requestReplay(client, schema, request);
      return report;
    });
  }

  /**
   * Cancels replayed notifications that have not been attempted yet.
   * @returns how many
   * @throws PgwatchError consumer_unknown
   */
  async cancelReplay(consumerId: string): Promise<number> {
    const { cancelReplays } = await import('../log/by-hand/replay-file.ts');
    return this.#run({ mode: 'change', consumers: [consumerId] }, (client, { schema }) =>
      cancelReplays(client, schema, consumerId),
    );
  }
}
