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

/** Captures a table from now on; see createTrigger(). */
export async function addTriggers(
  client: ClientBase,
  table: string,
  { schema, apiSchema, patienceMs, ...asked }: TriggerOptions & TriggerPlace,
): Promise<{ kind: TriggerChange['kind']; warnings: string[] }> {
  const checked = checkTriggerOptions(asked, (name) => name, 'input_invalid');
  const { names, found } = await find(client, table, { schema, apiSchema });
  const capture = planCapture(found, checked, names);
  const existing = await readCaptures(client, names, [found.oid]);
  const change = changesTo(capture, existing[0]?.triggers ?? [], names);
  await apply(client, change, names, patienceMs);
  return { kind: change.kind, warnings: [...capture.warnings, ...exposureOf(change)] };
}

/** Stops capturing a table; see dropTrigger(). */
export async function removeTriggers(
  client: ClientBase,
  table: string,
  { patienceMs, ...place }: TriggerPlace,
): Promise<{ kind: TriggerChange['kind'] }> {
  const { names, found } = await find(client, table, place);
  const [existing] = await readCaptures(client, names, [found.oid]);
  const change = changesToNone(found, existing?.triggers ?? []);
  await apply(client, change, names, patienceMs);
  return { kind: change.kind };
}

type Place = { [Name in 'schema' | 'apiSchema']?: string | undefined };

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
