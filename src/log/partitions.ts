import type { Config } from '../config/define.ts';
import { isStatementError, type Queryable } from '../database/connect.ts';
import { eventTriggerText } from '../database/event-triggers.ts';
import { qualified } from '../database/names.ts';
import { SQLSTATE } from '../database/sqlstate.ts';
import { errorCodeOf, textOf, toError } from '../errors.ts';

/**
 * failure: why none could be created, in sentences; null: what was missing is there, or has to
 * wait.
 */
export type Created = { created: string[]; defaultBytes: number; failure: string | null };

/**
 * Creates the partitions for the time ahead that are still missing. What the server refuses there,
 * as where an event trigger fails, is told and not thrown: what finds no partition goes to the
 * default one.
 * @returns the names of those it created, and how many bytes lie in the default partition
 * @throws where this role may not create any, and where the connection fails
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
    const failure = `The log's next partitions cannot be created: ${reason}.${await eventTriggerText(client, thrown)} Meanwhile the default partition takes what is published: nothing is lost.`;
    return { created: [], defaultBytes, failure };
  }
}

/** True where this role may not even ask for it: within the function others may have raised it. */
function isOurs(thrown: unknown): boolean {
  const context = textOf(() => (thrown as { where?: unknown }).where);
  const code = errorCodeOf(thrown);
  return (
    (code === SQLSTATE.insufficientPrivilege && context === '') ||
    code === SQLSTATE.readOnlyTransaction
  );
}
