import { type Page, pageReader, type ReadPage } from '../../src/log/page.ts';
import { pageSql } from '../../src/log/page-sql.ts';
import {
  closeWindow,
  type Position,
  type Snapshot,
  type Xid,
} from '../../src/log/positions/position.ts';

/** Leaves out transactions that ran when the snapshot was taken, and are in its list. */
const RUNNING: [string, string] = ['xid = running.xid', 'false'];
/** Leaves out transactions newer than all that had ended, which are in no list. */
const NEWER: [string, string] = [
  'and xid >= pg_snapshot_xmax($1',
  'and false and xid >= pg_snapshot_xmax($1',
];

/** Readers with a fault that looks harmless. A test that passes with one of them tests nothing. */
export const WRONG_READERS: Record<string, ReadPage> = {
  'id > cursor': textReader(RUNNING, NEWER),
  'id > cursor and xid < xmin': textReader(RUNNING, NEWER, [
    'id > greatest($2',
    'xid < pg_snapshot_xmin(pg_current_snapshot()) and id > greatest($2',
  ]),
  'rows and snapshot in two statements': twoStatements,
  'no late rows above xmax': textReader(NEWER),
  'a done_xid that is too low': (client, request) =>
    pageReader('pgwatch')(client, { ...request, position: withLowXid(request.position) }),
};

/** The statement with replacements, each a text and its new text. */
export function textReader(...changes: [string, string][]): ReadPage {
  const text = changes.reduce((sql, [right, wrong]) => {
    if (!sql.includes(right)) throw new Error(`The statement no longer has "${right}".`);
    return sql.replace(right, wrong);
  }, pageSql('pgwatch'));
  return pageReader('pgwatch', text);
}

async function twoStatements(...[client, request]: Parameters<ReadPage>): Promise<Page> {
  const page = await pageReader('pgwatch')(client, request);
  const { rows } = await client.query('select pg_current_snapshot()::text as snapshot');
  if (page.hasMore) return page;
  const window = { ...page.window, snapshot: rows[0].snapshot as Snapshot };
  return { ...page, window, after: closeWindow(request.position, window) };
}

function withLowXid(position: Position): Position {
  const xmax = position.doneSnapshot.split(':')[1] ?? '0';
  return { ...position, doneXid: String(BigInt(xmax)) as Xid };
}
