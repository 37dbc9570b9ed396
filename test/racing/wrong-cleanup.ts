import { fillNames, readSql } from '../../src/database/names.ts';

const NAMES = { schema: 'pgwatch', apiSchema: 'public' };

/** The functions as the migration makes them. */
export const RIGHT_CLEANUP = ['log_pins', 'log_empty', 'log_is_settled'].map((name) =>
  wrongFunction(name),
);

const LOCK = `  perform "pgwatch".cleanup_lock(partition_name);
`;
const PINS = 'exists (select from "pgwatch".log_pins(partition_name)) then';

/** Cleanups with a fault that looks harmless. A test that lets one pass does not test anything. */
export const WRONG_CLEANUPS = {
  'what is needed is looked up before the lock': wrongFunction(
    'log_empty',
    [`    if ${PINS}`, '    if false then'],
    [LOCK, `  if gaps is null and ${PINS} return 'pinned'; end if;\n${LOCK}`],
  ),
  'only ids are compared, and no snapshots': wrongFunction(
    'log_is_settled',
    ['pg_visible_in_snapshot(xid, (progress).done_snapshot)', 'true'],
    ['pg_visible_in_snapshot(xid, (progress).window_snapshot)', 'true'],
  ),
  'who is newer than the snapshot is forgotten': wrongFunction('log_pins', [
    'newest.xid >= newer',
    'false and newest.xid >= newer',
  ]),
  'who was running in the snapshot is forgotten': wrongFunction('log_pins', [
    'late.xid = any(running)',
    'false and late.xid = any(running)',
  ]),
} satisfies Record<string, string>;

/**
 * A cleanup that looks at no position, retry or lease: shows that a race would notice what is lost.
 */
export const BLIND_CLEANUP = wrongFunction('log_pins', [
  'return query execute',
  'return;\n  return query execute',
]);

/** A function of the migrations with changes, each a text and what stands in its place. */
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
