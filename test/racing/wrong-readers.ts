import { type Page, pageReader, type ReadPage } from '../../src/log/page.ts';
import { pageSql } from '../../src/log/page-sql.ts';
import { closeWindow, type Position, type Snapshot, type Xid } from '../../src/log/position.ts';

/** Readers with a fault that looks harmless. A test that lets one pass does not test anything. */
export const WRONG_READERS: Record<string, ReadPage> = {
  'id > cursor': textReader((sql) => cursorOnly(sql)),
  'id > cursor and xid < xmin': textReader((sql) =>
    cursorOnly(sql).replaceAll(
      'where id > greatest',
      'where xid < pg_snapshot_xmin(pg_current_snapshot()) and id > greatest',
    ),
  ),
  'rows and snapshot in two statements': twoStatements,
  'no late rows above xmax': textReader((sql) =>
    sql.replace('where xid >= pg_snapshot_xmax', 'where false and xid >= pg_snapshot_xmax'),
  ),
  'a done_xid that is too low': (client, request) =>
    pageReader('pgwatch')(client, { ...request, position: withLowXid(request.position) }),
};

function textReader(change: (sql: string) => string): ReadPage {
  const right = pageSql('pgwatch');
  const wrong = change(right);
  if (wrong === right)
    throw new Error('The change did not apply: the statement looks different now.');
  return pageReader('pgwatch', wrong);
}

/** Leaves both kinds of late rows out: what remains compares ids. */
function cursorOnly(sql: string): string {
  return sql
    .replace('where xid = running.xid', 'where false and xid = running.xid')
    .replace('where xid >= pg_snapshot_xmax', 'where false and xid >= pg_snapshot_xmax');
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
