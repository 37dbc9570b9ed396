import type { ClientBase } from 'pg';
import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { eventTriggerText } from './event-triggers.ts';
import type { Names } from './names.ts';
import { patientlyInSchemas } from './patient-lock.ts';
import { fromSqlError, isOwnError, SQLSTATE } from './sqlstate.ts';

/**
 * Runs one step, which is rolled back if it fails. It waits for locks for short times; see
 * patientlyLocked.
 * @throws PgwatchError migration_failed, which says what failed and what to do; errors raised by
 *   our own SQL
 */
export async function attempt(
  client: ClientBase,
  { what, names }: { what: string; names: Names },
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await patientlyInSchemas(client, { schemas: [names.schema] }, work);
  } catch (thrown) {
    if (isOwnError(thrown)) throw fromSqlError(thrown);
    if (thrown instanceof PgwatchError && thrown.code === 'table_locked') {
      throw new PgwatchError(thrown.code, `${what} failed. ${thrown.message}`, { cause: thrown });
    }
    const remedy = (await eventTriggerText(client, thrown)) || remedyFor(thrown, names);
    const reason = toError(thrown).message.replace(/\.$/, '');
    throw new PgwatchError(
      'migration_failed',
      `${what} failed and was rolled back: ${reason}.${remedy}`,
      { cause: thrown },
    );
  }
}

function remedyFor(thrown: unknown, { apiSchema }: Names): string {
  switch (errorCodeOf(thrown)) {
    case SQLSTATE.insufficientPrivilege:
      return (
        " Run it as the database's owner: it requires CREATE on the database and on schema " +
        `"${apiSchema}".`
      );
    case SQLSTATE.undefinedSchema:
      return ' Create that schema, or name another with the option apiSchema.';
    case SQLSTATE.undefinedObject:
      return ' Create that role, or correct roles in the config.';
    case SQLSTATE.dependentObjects:
      return ` ${(thrown as { detail?: string }).detail ?? ''}. Drop what depends on it first.`;
    default:
      return '';
  }
}

/** Makes other runs of migrations in this schema wait until the work is done. */
export async function withMigrationLock<T>(
  client: ClientBase,
  schema: string,
  work: () => Promise<T>,
): Promise<T> {
  const key = [`pgwatch migrate ${schema}`];
  await client.query('select pg_advisory_lock(hashtextextended($1, 0))', key);
  try {
    return await work();
  } finally {
    // A broken connection has already released the lock.
    await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', key).catch(() => {});
  }
}
