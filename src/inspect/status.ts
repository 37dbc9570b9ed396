import type { Queryable } from '../database/connect.ts';
import { type ConsumerView, readConsumerViews } from './consumer-view.ts';
import type { DaemonView } from './daemons.ts';
import { type LogSummary, readLogSummary } from './log-size.ts';

/** The state of the log, the daemons and the consumers at one moment. */
export type Status = {
  at: Date;
  daemons: readonly DaemonView[];
  log: LogSummary;
  consumers: readonly ConsumerView[];
};

/**
 * Reads the status, in bounded time, however many notifications are unread.
 * @param consumerIds null for all consumers
 */
export async function readStatus(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[] | null,
): Promise<Status> {
  const log = await readLogSummary(client, schema);
  const { daemons, consumers } = await readConsumerViews(client, schema, consumerIds);
  const { rows } = await client.query<{ at: Date }>('select clock_timestamp() as at');
  return { at: (rows[0] as { at: Date }).at, daemons, log, consumers };
}
