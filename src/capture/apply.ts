import type { ClientBase } from 'pg';
import { isStatementError } from '../database/connect.ts';
import { eventTriggerText } from '../database/event-triggers.ts';
import { readHolders } from '../database/holders.ts';
import type { Names } from '../database/names.ts';
import type { PatienceOptions } from '../database/patience.ts';
import { LOCK_TIMEOUT, patientlyLocked } from '../database/patient-lock.ts';
import { SQLSTATE } from '../database/sqlstate.ts';
import { withTransaction } from '../database/transaction.ts';
import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import type { TriggerChange } from './changes.ts';
import { readCaptures } from './existing.ts';
import { checkConditionTypes } from './plan.ts';
import { readTables } from './table.ts';
import { quotedTable, tableText } from './table-name.ts';

export type ApplyOptions = PatienceOptions & {
  names: Names;
  /** Called with a message about the sessions it waits for, whenever they change. */
  onWaiting(message: string): void;
};

/**
 * Applies a change in one transaction. It waits for the lock only briefly and then tries again,
 * because other sessions queue after a waiting lock request. Inside a transaction of the caller it
 * tries once, with the lock_timeout of that transaction.
 * @throws PgwatchError table_locked with the sessions that hold the table, permission_denied,
 *   table_unsuitable
 */
export async function applyChange(
  client: ClientBase,
  change: TriggerChange,
  options: ApplyOptions,
): Promise<void> {
  if (change.statements.length === 0) return;
  const isInside = client.getTransactionStatus() === 'T';
  const work = () => run(client, change, isInside, options.names);
  const lock = {
    ...options,
    what: tableText(change.table),
    readHolders: () => readHolders(client, [change.table.oid]),
  };
  try {
    await (isInside ? work() : patientlyLocked(lock, work));
  } catch (thrown) {
    const trigger = await eventTriggerText(client, thrown);
    throw explain(thrown, change, trigger);
  }
}

async function run(
  client: ClientBase,
  { table, hasCondition, again }: TriggerChange,
  isInside: boolean,
  names: Names,
): Promise<void> {
  await withTransaction(client, async () => {
    if (!isInside) await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
    // A concurrent run may have changed the triggers since they were read.
    const lock = 'select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))';
    await client.query(lock, [`pgwatch trigger ${table.oid}`]);
    if (hasCondition) {
      // From now on nobody can add a column.
      await client.query(`lock table only ${quotedTable(table)} in share row exclusive mode`);
      const now = (await readTables(client, names, [table.oid])).get(table.oid);
      if (now) checkConditionTypes(now);
    }
    const [there] = await readCaptures(client, names, [table.oid]);
    // The extended protocol accepts only one statement at a time, so a condition cannot smuggle in
    // a second one.
    for (const text of again(there?.triggers ?? []).statements) {
      await client.query({ text, values: [], queryMode: 'extended' } as never);
    }
  });
}

function explain(thrown: unknown, { table }: TriggerChange, eventTrigger: string): Error {
  const { message } = toError(thrown);
  if (eventTrigger !== '') {
    const what = `The triggers of ${tableText(table)} cannot be changed`;
    const text = `${what}: ${message}.${eventTrigger}`;
    return new PgwatchError('table_unsuitable', text, { cause: thrown });
  }
  const unsuitable = (why: string) =>
    new PgwatchError(
      'table_unsuitable',
      `${tableText(table)} cannot be captured like that: ${why}.`,
      {
        cause: thrown,
      },
    );
  if (thrown instanceof PgwatchError) return thrown;
  switch (errorCodeOf(thrown)) {
    case SQLSTATE.insufficientPrivilege:
      return new PgwatchError(
        'permission_denied',
        `The database refuses to capture ${tableText(table)}: ${message}. That requires the` +
          ' privilege TRIGGER on the table (ownership to drop a trigger)' +
          ' and EXECUTE on notify_data_change().',
        { cause: thrown },
      );
    case SQLSTATE.duplicateObject:
      return unsuitable(
        `${message}. If it captures a partition, run "pgwatch trigger remove" on the partition` +
          ' first; otherwise rename that trigger: alter trigger … rename to',
      );
    case SQLSTATE.invalidObjectDefinition:
      return unsuitable(
        `${message}. INSERT has no row old, and DELETE has no row new: restrict the operations to` +
          ' those that the condition fits, such as insert and update',
      );
    default:
      return isStatementError(thrown)
        ? unsuitable(`${message}. Check the condition (when), if there is one`)
        : toError(thrown);
  }
}
