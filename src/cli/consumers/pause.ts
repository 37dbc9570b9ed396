import { pauseConsumer, resumeConsumer } from '../../log/by-hand/pause.ts';
import { withDatabase } from '../database.ts';
import { reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import type { PauseOptions, ResumeOptions } from './options.ts';

/** Pauses consumers, and reports until when. */
export async function pause(ids: readonly string[], options: PauseOptions): Promise<void> {
  const reporter = reporterFor(options);
  const result: object[] = [];
  await withDatabase(options, { mode: 'change', consumers: ids }, async (client, { schema }) => {
    for (const consumerId of new Set(ids)) {
      const until = options.until ?? null;
      const paused = await pauseConsumer(client, schema, { consumerId, until });
      // It may have been removed since it was looked up.
      if (!paused) continue;
      const { pausedAt, pausedUntil } = paused;
      result.push({ consumerId, pausedAt, pausedUntil });
      const end = pausedUntil
        ? `until ${pausedUntil.toISOString()}`
        : `until "pgwatch consumers resume ${consumerId}"`;
      reporter.info(
        `${consumerId} is paused ${end}. Notifications published meanwhile wait for it.`,
      );
    }
  });
  if (options.json) printJson(result);
}

/** Resumes consumers; those that are not paused are left alone. */
export async function resume(ids: readonly string[], options: ResumeOptions): Promise<void> {
  const reporter = reporterFor(options);
  const result: object[] = [];
  await withDatabase(options, { mode: 'change', consumers: ids }, async (client, { schema }) => {
    for (const consumerId of new Set(ids)) {
      const wasPaused = await resumeConsumer(client, schema, { consumerId });
      result.push({ consumerId, wasPaused });
      reporter.info(`${consumerId} ${wasPaused ? 'is resumed' : 'was not paused'}.`);
    }
  });
  if (options.json) printJson(result);
}
