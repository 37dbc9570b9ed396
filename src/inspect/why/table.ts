import type { ClientBase } from 'pg';
import { readCaptureStates } from '../../capture/state.ts';
import type { Table } from '../../capture/table.ts';
import { OPERATIONS, type TriggerOptions } from '../../config/triggers.ts';
import type { Names } from '../../database/names.ts';

/**
 * Why changes of a table do not become notifications.
 *
 * not_captured  no trigger publishes them
 * lost          changes fire no trigger, or are published under another name
 * disabled      triggers do not fire: disabled, or for replication only
 * stale         the triggers no longer fit the table
 * replica       sessions of a role or database run as replicas, and fire no ordinary triggers
 * limited       only some changes count: by operation, columns or condition. Not a fault
 * unrung        no doorbell is rung: the next poll finds them. Not a fault
 */
export type TableReason =
  | { code: 'not_captured' }
  | { code: 'lost'; losses: string[] }
  | { code: 'disabled'; triggers: string[]; isAll: boolean }
  | { code: 'stale'; differences: string[] }
  | { code: 'replica'; scopes: string[] }
  | { code: 'limited'; options: Pick<TriggerOptions, 'operations' | 'columns' | 'when'> }
  | { code: 'unrung' };

/** Finds the reasons, the most important first, and the channel that the table publishes on. */
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

/** True if changes may be missing because of it. */
export function isTableFault({ code }: TableReason): boolean {
  return code !== 'limited' && code !== 'unrung';
}

/** The roles and databases whose sessions start as replicas. */
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
