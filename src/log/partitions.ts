import type { Config } from '../config/define.ts';
import { isStatementError, type Queryable } from '../database/connect.ts';
import { eventTriggerText } from '../database/event-triggers.ts';
import { qualified } from '../database/names.ts';
import { SQLSTATE } from '../database/sqlstate.ts';
import { errorCodeOf, textOf, toError } from '../errors.ts';

/**
 * failure: why none could be created, in sentences; null if none is missing any more, or they have
 * to wait.
 */
export type Created = { created: string[]; defaultBytes: number; failure: string | null };

/**
 * Creates the missing partitions for the time ahead. If the server refuses, for example because an
 * event trigger fails, the failure is returned, not thrown: rows without a partition go to the
 * default one.
 * @returns the names of the new partitions, and the size of the default partition in bytes
 * @throws if this role may not create partitions, or the connection fails
 */
export async function createPartitions(client: Queryable, config: Config): Promise<Created> {
  const { rows: sizes } = await client.query(
    'select pg_relation_size(to_regclass($1))::float8 as bytes',
    [qualified(config.schema, 'notification_log_default')],
  );
  const defaultBytes = (sizes[0] as { bytes: number | null }).bytes ?? 0;
  try {
    const { rows } = await client.query(
      `select created from ${qualified(config.schema, 'log_partition_create')}($1, $2) as created`,
      [config.partition, config.partitionsAhead],
    );
    const created = (rows as { created: string }[]).map((row) => row.created);
    return { created, defaultBytes, failure: null };
  } catch (thrown) {
    if (!isStatementError(thrown) || isOurs(thrown)) throw thrown;
    const reason = toError(thrown).message.replace(/\.$/, '');
    const failure =
      `The log's next partitions cannot be created: ${reason}.` +
      `${await eventTriggerText(client, thrown)} ` +
      'Until then, notifications go to the default partition; nothing is lost.';
    return { created: [], defaultBytes, failure };
  }
}

/**
 * True if this role may not call the function at all, or the server is read-only. An error raised
 * inside the function may come from someone else's code.
 */
function isOurs(thrown: unknown): boolean {
  const context = textOf(() => (thrown as { where?: unknown }).where);
  const code = errorCodeOf(thrown);
  return (
    (code === SQLSTATE.insufficientPrivilege && context === '') ||
    code === SQLSTATE.readOnlyTransaction
  );
}
