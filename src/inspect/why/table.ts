import type { ClientBase } from 'pg';
import { readCaptureStates } from '../../capture/state.ts';
import type { Table } from '../../capture/table.ts';
import { OPERATIONS, type TriggerOptions } from '../../config/triggers.ts';
import type { Names } from '../../database/names.ts';

/**
 * Why changes of a table do not become notifications.
 *
 * not_captured  no trigger publishes them
 * lost          changes are made in a way that fires no trigger, or come under another name
 * disabled      triggers do not fire: disabled, or for replication only
 * stale         the triggers do not fit the table any longer
 * replica       sessions of a role or database run as replicas, and fire no ordinary triggers
 * limited       only some changes count: by operation, columns or condition. No fault
 * unrung        nobody is rung for: it is found by the next poll. No fault
 */
export type TableReason =
  | { code: 'not_captured' }
  | { code: 'lost'; losses: string[] }
  | { code: 'disabled'; triggers: string[]; isAll: boolean }
  | { code: 'stale'; differences: string[] }
  | { code: 'replica'; scopes: string[] }
  | { code: 'limited'; options: Pick<TriggerOptions, 'operations' | 'columns' | 'when'> }
  | { code: 'unrung' };

/** The reasons that are there, what matters most first; and the channel that it publishes on. */
export async function explainTable(
  client: ClientBase,
  names: Names,
  table: Table,
): Promise<{ channel: string | null; reasons: TableReason[] }> {
  const [state] = await readCaptureStates(client, names, [table.oid]);
  if (!state) return { channel: null, reasons: [{ code: 'not_captured' }] };
  const { disabled, stale, losses, existing, options } = state;
  const { channel = 'data_change', operations = OPERATIONS, columns, when, notify } = options;
  const reasons: TableReason[] = [];
  if (losses.length > 0) {
    reasons.push({ code: 'lost', losses: losses.map(({ sentence }) => sentence) });
  }
  if (disabled.length > 0) {
    const isAll = disabled.length === existing.triggers.length;
    reasons.push({ code: 'disabled', triggers: disabled, isAll });
  }
  if (stale.length > 0) reasons.push({ code: 'stale', differences: stale });
  const scopes = existing.triggers.every(({ isAlways }) => isAlways)
    ? []
    : await readReplicaScopes(client);
  if (scopes.length > 0) reasons.push({ code: 'replica', scopes });
  const limits = {
    ...(operations.length < OPERATIONS.length ? { operations } : {}),
    ...(columns ? { columns } : {}),
    ...(when === undefined ? {} : { when }),
  };
  if (Object.keys(limits).length > 0) reasons.push({ code: 'limited', options: limits });
  if (notify === 'off') reasons.push({ code: 'unrung' });
  return { channel, reasons };
}

/** True where a change may be missing because of it. */
export function isTableFault({ code }: TableReason): boolean {
  return code !== 'limited' && code !== 'unrung';
}

/** For which roles and databases sessions begin as replicas. */
async function readReplicaScopes(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ scope: string }>(
    `select concat_ws(' in ', coalesce('role ' || r.rolname, 'all roles'),
       coalesce('database ' || d.datname, 'all databases')) as scope
     from pg_catalog.pg_db_role_setting as s
     left join pg_catalog.pg_roles as r on r.oid = s.setrole
     left join pg_catalog.pg_database as d on d.oid = s.setdatabase
     where 'session_replication_role=replica' = any(s.setconfig)
       and (s.setdatabase = 0 or d.datname = current_database())
     order by 1`,
  );
  return rows.map(({ scope }) => scope);
}
