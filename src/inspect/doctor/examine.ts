import type { Client } from 'pg';
import { readMigrationStates } from '../../database/migrate.ts';
import { isPooled } from '../../database/pooler.ts';
import { OWN_SETTINGS } from '../../database/settings.ts';
import { SQLSTATE } from '../../database/sqlstate.ts';
import { beginWith, settingsSql } from '../../database/transaction.ts';
import { readLeftBy } from '../../database/unrecorded.ts';
import { errorCodeOf, toError } from '../../errors.ts';
import type { Check, CheckResult, Context, Finding } from './check.ts';
import { CHECKS } from './checks.ts';

/** What the doctor found, and what it checked. */
export type Examination = {
  findings: (Finding & { check: string })[];
  checked: Checked[];
};

/** ok: no problem, perhaps notes. skipped: there is nothing to check, as without a schema. */
export type Checked = {
  check: string;
  outcome: 'ok' | 'problem' | 'unchecked' | 'skipped';
  /** What it looked at, or why it could not. */
  seen: string;
};

/**
 * Runs the checks one after the other. If one fails, the others run all the same. Changes
 * nothing.
 */
export async function examine(
  client: Client,
  context: Context,
  checks: readonly Check[] = CHECKS,
): Promise<Examination> {
  // The session is idle between checks. A pooler would pass the setting on to other clients.
  if (!(await isPooled(client))) {
    await client.query(settingsSql({ idle_session_timeout: '0' }, 'session'));
  }
  const schema = await schemaState(client, context);
  const examination: Examination = { findings: [], checked: [] };
  for (const check of checks) {
    const { findings, ...checked } = await look(check, client, context, schema);
    examination.checked.push({ check: check.name, ...checked });
    for (const finding of findings) examination.findings.push({ check: check.name, ...finding });
  }
  return examination;
}

/**
 * forbidden: this role may not read it. locked: another session blocks reading. other: of another
 * version, or incomplete.
 */
type SchemaState = 'missing' | 'current' | 'other' | 'forbidden' | 'locked';

async function look(
  check: Check,
  client: Client,
  context: Context,
  schema: SchemaState,
): Promise<Omit<Checked, 'check'> & { findings: Finding[] }> {
  const reason = reasonToSkip(check, schema);
  if (reason) return { outcome: 'skipped', seen: reason, findings: [] };
  try {
    const { findings, seen } = await run(check, client, context);
    const outcome = findings.some(({ level }) => level === 'problem') ? 'problem' : 'ok';
    return { outcome, seen, findings };
  } catch (thrown) {
    const isForeign = schema !== 'current' && MISSING.has(errorCodeOf(thrown) ?? '');
    if (check.needs !== 'nothing' && isForeign) {
      return { outcome: 'skipped', seen: FOREIGN, findings: [] };
    }
    const message = toError(thrown).message.replace(/\.$/, '');
    return { outcome: 'unchecked', seen: message, findings: [unchecked(thrown, message)] };
  }
}

function reasonToSkip({ needs }: Check, schema: SchemaState): string | undefined {
  if (needs === 'nothing') return undefined;
  return (
    NOT_THERE[schema] ?? (needs === 'current schema' && schema === 'other' ? FOREIGN : undefined)
  );
}

async function run(check: Check, client: Client, context: Context): Promise<CheckResult> {
  if (check.runs === 'connection') return check.run(client, context);
  await client.query(beginWith(SETTINGS));
  try {
    return await check.run(client, context);
  } finally {
    await client.query('rollback').catch(() => {});
  }
}

async function schemaState(client: Client, { config }: Context): Promise<SchemaState> {
  await client.query(`set lock_timeout = '${SETTINGS.lock_timeout}'`);
  try {
    const states = await readMigrationStates(client, config);
    if (states.every(({ state }) => state === 'pending')) {
      return (await readLeftBy(client, config)).size > 0 ? 'other' : 'missing';
    }
    return states.every(({ state }) => state === 'applied') ? 'current' : 'other';
  } catch (thrown) {
    // The checks of the schema and of locks say why.
    return SCHEMA_STATES[errorCodeOf(thrown) ?? ''] ?? 'other';
  }
}

function unchecked(thrown: unknown, reason: string): Finding {
  const code = errorCodeOf(thrown) ?? '';
  return {
    level: 'note',
    what: `Could not be checked: ${reason}.`,
    why: 'There may be a problem that the doctor cannot see.',
    fix: FIXES[code] ?? 'Run "pgwatch doctor" again.',
  };
}

const FIXES: Record<string, string> = {
  [SQLSTATE.insufficientPrivilege]:
    'Run "pgwatch doctor" as the role that installed pgwatch, or add this role to ' +
    'roles: { consume } in the config and run "pgwatch migrate".',
  [SQLSTATE.lockNotAvailable]: 'See the findings of locks, then run "pgwatch doctor" again.',
};

const SCHEMA_STATES: Record<string, SchemaState> = {
  [SQLSTATE.insufficientPrivilege]: 'forbidden',
  [SQLSTATE.lockNotAvailable]: 'locked',
};

const FOREIGN = 'the schema has another version';

const NOT_THERE: Partial<Record<SchemaState, string>> = {
  missing: 'there is no schema',
  forbidden: 'this role may not read the schema',
  locked: 'another session has locked the schema',
};

/** Errors of statements that were written for another version of the schema. */
const MISSING = new Set<string>([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedColumn,
  SQLSTATE.undefinedFunction,
  SQLSTATE.undefinedSchema,
]);

/** Checks cannot change anything, wait for long, or run what others put on the search path. */
const SETTINGS = {
  ...OWN_SETTINGS,
  transaction_read_only: 'on',
  statement_timeout: '15s',
  lock_timeout: '1s',
};
