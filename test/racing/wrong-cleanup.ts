import { fillNames, readSql } from '../../src/database/names.ts';

const NAMES = { schema: 'pgwatch', apiSchema: 'public' };

/** The functions as created by the migrations. */
export const RIGHT_CLEANUP = ['log_pins', 'log_empty', 'log_is_settled'].map((name) =>
  wrongFunction(name),
);

const LOCK = `  perform "pgwatch".cleanup_lock(partition_name);
`;
const PINS = 'exists (select from "pgwatch".log_pins(partition_name)) then';

/** Cleanups with a fault that looks harmless. A test that passes with one of them tests nothing. */
export const WRONG_CLEANUPS = {
  'needs are looked up before the lock is taken': wrongFunction(
    'log_empty',
    [`    if ${PINS}`, '    if false then'],
    [LOCK, `  if gaps is null and ${PINS} return 'pinned'; end if;\n${LOCK}`],
  ),
  'only ids are compared, not snapshots': wrongFunction(
    'log_is_settled',
    ['pg_visible_in_snapshot(xid, (progress).done_snapshot)', 'true'],
    ['pg_visible_in_snapshot(xid, (progress).window_snapshot)', 'true'],
  ),
  'transactions newer than the snapshot are ignored': wrongFunction('log_pins', [
    'newest.xid >= newer',
    'false and newest.xid >= newer',
  ]),
  'transactions running in the snapshot are ignored': wrongFunction('log_pins', [
    'late.xid = any(running)',
    'false and late.xid = any(running)',
  ]),
} satisfies Record<string, string>;

/** A cleanup that ignores positions, retries and leases: shows that a race detects losses. */
export const BLIND_CLEANUP = wrongFunction('log_pins', [
  'return query execute',
  'return;\n  return query execute',
]);

/** A function of the migrations with replacements, each a text and its new text. */
function wrongFunction(name: string, ...changes: [string, string][]): string {
  const files = ['migrations/0002_consumers.sql', 'migrations/0006_cleanup.sql'];
  const sql = fillNames(files.map(readSql).join('\n'), NAMES);
  const start = sql.indexOf(`create function "pgwatch".${name}(`);
  const end = sql.indexOf('\nrevoke ', start);
  const text = sql.slice(start, end).replace('create function', 'create or replace function');
  return changes.reduce((changed, [right, wrong]) => {
    if (!changed.includes(right)) throw new Error(`${name} no longer has "${right}".`);
    return changed.replace(right, wrong);
  }, text);
}
