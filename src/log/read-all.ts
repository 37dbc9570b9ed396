import type { ClientBase } from 'pg';
import { LogNotification, type Notification } from './notification.ts';
import { pageReader } from './page.ts';
import { beginningAt, readPosition } from './positions/beginning.ts';

/** Everything in the log on these channels, in order of id. Holds all of it in memory. */
export async function readAll(
  client: ClientBase,
  schema: string,
  channels: readonly string[],
): Promise<Notification[]> {
  const readPage = pageReader(schema);
  const found: Notification[] = [];
  let position = await readPosition(client, beginningAt(schema, 'start', '$1'));
  for (let hasMore = true; hasMore; ) {
    const page = await readPage(client, { position, channels, limit: LIMIT, rebasedId: 0 });
    for (const row of page.rows) {
      found.push(new LogNotification(row, { isReplay: false, attempt: 1 }));
    }
    position = page.after;
    hasMore = page.hasMore;
  }
  return found;
}

const LIMIT = { rows: 500, bytes: 4_000_000 };
