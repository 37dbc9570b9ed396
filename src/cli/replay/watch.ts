import type { Client } from 'pg';
import { type ReplayProgress, readReplayProgress } from '../../log/by-hand/replay-progress.ts';
import type { StreamReporter } from '../../reporter.ts';
import { formatDuration, shortDuration, sleep } from '../../time.ts';
import { countOf } from '../../words.ts';
import { stopSignal } from '../stop-signal.ts';

type Watched = { consumerId: string; filed: number; replayedAt: string; reporter: StreamReporter };

/** Shows the progress of a replay until it is done or a signal arrives; returns its state then. */
export async function watchReplay(
  client: Client,
  schema: string,
  watched: Watched,
): Promise<{ isFinished: boolean; dead: number; standing: number }> {
  const { consumerId, filed, reporter } = watched;
  const signal = stopSignal(reporter, 'no longer watching; the replay continues.');
  const startedAt = performance.now();
  let saidAt = startedAt;
  let hasSaidIdle = false;
  for (;;) {
    const progress = await readReplayProgress(client, schema, watched);
    const { standing, dead, isLive, isPaused } = progress;
    if (standing === 0) {
      reporter.status('');
      const took = formatDuration(performance.now() - startedAt);
      reporter.info(
        `Replayed ${countOf(filed - dead, 'notification')} to ${consumerId} in ${took}.`,
      );
      if (dead > 0) reporter.warn(deadText(consumerId, dead));
      return { isFinished: true, dead, standing };
    }
    if ((isPaused || !isLive) && !hasSaidIdle) {
      hasSaidIdle = true;
      reporter.info(
        isPaused
          ? `${consumerId} is paused: the replay waits ("pgwatch consumers resume ${consumerId}").`
          : `No daemon runs ${consumerId}: the replay waits for one ("pgwatch listen").`,
      );
    }
    const line = lineOf(filed, progress);
    reporter.status(line);
    if (!reporter.isInteractive && performance.now() - saidAt > LINE_MS) {
      saidAt = performance.now();
      reporter.info(`${line}.`);
    }
    await sleep(LOOK_MS, signal);
    if (!signal.aborted) continue;
    reporter.status('');
    reporter.info(
      `${standing.toLocaleString('en')} of ${countOf(filed, 'notification')} ` +
        `${standing === 1 ? 'is' : 'are'} still pending. ` +
        `To cancel ${standing === 1 ? 'it' : 'them'}: "pgwatch replay ${consumerId} --cancel".`,
    );
    return { isFinished: false, dead, standing };
  }
}

function lineOf(filed: number, { standing, failing, nextMs }: ReplayProgress): string {
  const done = (filed - standing).toLocaleString('en');
  const share = Math.floor((100 * (filed - standing)) / filed);
  const failed = failing > 0 ? `, ${failing.toLocaleString('en')} failing` : '';
  const next = nextMs !== null && nextMs > 1000 ? `, the next in ${shortDuration(nextMs)}` : '';
  return `Replayed ${done} of ${filed.toLocaleString('en')}, ${share} %${failed}${next}`;
}

function deadText(consumerId: string, dead: number): string {
  const what =
    dead === 1 ? 'One of them is a dead letter' : `${dead.toLocaleString('en')} are dead letters`;
  return `${what}: "pgwatch dlq list --consumer ${consumerId}".`;
}

const LOOK_MS = 500;
const LINE_MS = 5000;
