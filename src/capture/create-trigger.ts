import type { ClientBase } from 'pg';
import { checkTriggerOptions, type TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { SQLSTATE } from '../database/sqlstate.ts';
import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { applyChange } from './apply.ts';
import { changesTo, changesToNone, exposureOf, type TriggerChange } from './changes.ts';
import { readCaptures } from './existing.ts';
import { planCapture } from './plan.ts';
import { findTable } from './table.ts';
import { parseTableName, readSearchPath } from './table-name.ts';

/** Where pgwatch is installed, and how long to try while other sessions lock the table. */
export type TriggerPlace = {
  /** Default 'pgwatch'. */
  schema?: string;
  /** Default 'public'. */
  apiSchema?: string;
  /** In milliseconds. Default 30,000. Inside a transaction, its lock_timeout applies instead. */
  patienceMs?: number;
};

/**
 * Captures the changes of a table from now on, like "pgwatch trigger add". In a transaction of the
 * caller it becomes part of that, so it can be used in migrations. If the table is already
 * captured, these options replace the previous ones.
 * @param table like app.users; without a schema, it is searched for on the search path
 * @returns what it did, and warnings for the author of the call
 * @throws PgwatchError table_unsuitable, table_locked, input_invalid, permission_denied,
 *   schema_missing
 */
export async function createTrigger(
  client: ClientBase,
  table: string,
  options: TriggerOptions & TriggerPlace = {},
): Promise<{ kind: TriggerChange['kind']; warnings: string[] }> {
  const { schema, apiSchema, patienceMs, ...asked } = options;
  const place = { schema, apiSchema, patienceMs };
  const checked = checkTriggerOptions(asked, (name) => name, 'input_invalid');
  const { names, found } = await find(client, table, place);
  const capture = planCapture(found, checked, names);
  const existing = await readCaptures(client, names, [found.oid]);
  const change = changesTo(capture, existing[0]?.triggers ?? [], names);
  await apply(client, change, names, patienceMs);
  return { kind: change.kind, warnings: [...capture.warnings, ...exposureOf(change)] };
}

/**
 * Stops capturing a table: drops all triggers that call notify_data_change, including manually
 * created ones.
 * @throws like createTrigger
 */
export async function dropTrigger(
  client: ClientBase,
  table: string,
  place: TriggerPlace = {},
): Promise<{ kind: TriggerChange['kind'] }> {
  const { names, found } = await find(client, table, place);
  const [existing] = await readCaptures(client, names, [found.oid]);
  const change = changesToNone(found, existing?.triggers ?? []);
  await apply(client, change, names, place.patienceMs);
  return { kind: change.kind };
}

type Place = { [Name in keyof TriggerPlace]: TriggerPlace[Name] | undefined };

async function find(client: ClientBase, table: string, { schema, apiSchema }: Place) {
  const names: Names = { schema: schema ?? 'pgwatch', apiSchema: apiSchema ?? 'public' };
  const path = await readSearchPath(client);
  try {
    return { names, found: await findTable(client, names, parseTableName(table), path) };
  } catch (thrown) {
    throw explain(thrown);
  }
}

function explain(thrown: unknown): Error {
  const code = errorCodeOf(thrown) ?? '';
  if (code === SQLSTATE.undefinedFunction || code === SQLSTATE.undefinedSchema) {
    return new PgwatchError(
      'schema_missing',
      'pgwatch is not installed in this database. Run "pgwatch migrate" first.',
      { cause: thrown },
    );
  }
  if (code !== SQLSTATE.insufficientPrivilege) return toError(thrown);
  return new PgwatchError(
    'permission_denied',
    `The database refuses that: ${toError(thrown).message}.` +
      ' Use the role that installed pgwatch, or a member of it.',
    { cause: thrown },
  );
}

async function apply(
  client: ClientBase,
  change: TriggerChange,
  names: Names,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  await applyChange(client, change, {
    names,
    patienceMs,
    onWaiting: () => {},
    signal: new AbortController().signal,
  });
}

const PATIENCE_MS = 30_000;
