import type { Client } from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { pageReader } from '../../src/log/page.ts';
import { type Lag, readLags } from '../../src/log/positions/lag.ts';
import type { Position } from '../../src/log/positions/position.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { seize } from '../helpers/owner.ts';
import { publish, publishRange } from '../helpers/publish.ts';
import { size } from '../helpers/whole.ts';

const database = useDatabase();

afterEach(() => emptyLog(database));

/** A consumer that reads pages of this many rows, and saves the position after each page. */
async function reading(rows: number) {
  const client = await database.connect();
  await client.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
     values ('c', '{c}', 0, '1:1:')`,
  );
  const owned = await seize(client, { consumerId: 'c', channels: ['c'] });
  let position: Position = owned.position;
  const readPage = pageReader('pgwatch');
  const seen = new Set<string>();
  return {
    seen,
    async page(): Promise<boolean> {
      const limit = { rows, bytes: 1_000_000 };
      const page = await readPage(client, { position, channels: ['c'], limit, rebasedId: 0 });
      for (const row of page.rows) if (row[3] === 'c') seen.add(row[0]);
      position = page.after;
      await savePositions(client, 'pgwatch', [{ ...owned, position }]);
      return page.hasMore;
    },
  };
}

/** A transaction that has published one notification and stays open. */
async function begin(): Promise<Client> {
  const client = await database.connect();
  await client.query('begin');
  await client.query(`select smart_notify('c', '"late"')`);
  return client;
}

async function lag(): Promise<Lag> {
  return (await readLags(database.pool, 'pgwatch', ['c'])).get('c') as Lag;
}

describe('the unread count', () => {
  test('includes what lies after the position, in the wanted channels only', async () => {
    const reader = await reading(500);
    await publishRange(database, 1, 3);
    await publishRange(database, 1, 70, { channel: 'other' });
    expect(await lag()).toEqual({ unread: 3, isExact: true, oldestAt: expect.any(Date) });
    await reader.page();
    expect(await lag()).toEqual({ unread: 0, isExact: true, oldestAt: null });
  });

  test('includes late commits, and late commits into an open window', async () => {
    const reader = await reading(4);
    const first = await begin();
    await publishRange(database, 1, 10);
    await reader.page();
    const second = await begin();
    await publishRange(database, 1, 5);
    // The window of the first page: ids up to 11, the first of which is not visible.
    expect((await lag()).unread).toBe(6 + 5);
    await first.query('commit');
    expect((await lag()).unread).toBe(1 + 6 + 5);
    while (await reader.page());
    while (await reader.page());
    await second.query('commit');
    expect((await lag()).unread).toBe(1);
    while (await reader.page());
    expect([await lag(), reader.seen.size]).toEqual([
      { unread: 0, isExact: true, oldestAt: null },
      17,
    ]);
  });

  test('is the rest of what was published, at every step of a race', async () => {
    const reader = await reading(7);
    let [next, wrong] = [1, 0];
    // A fixed sequence that mixes well enough and never changes.
    const random = (below: number) => {
      next = (next * 1103515245 + 12345) % 2147483648;
      return Math.floor((next / 2147483648) * below);
    };
    const free = await Promise.all(Array.from({ length: 4 }, () => database.connect()));
    const open: typeof free = [];
    for (let step = 0; step < size(150, 50); step += 1) {
      const action = random(4);
      const begun = action === 0 ? free.pop() : undefined;
      const ended = action === 1 ? open.splice(random(open.length), 1)[0] : undefined;
      if (begun) {
        await begun.query('begin');
        await begun.query(
          `select smart_notify('c', '1') from generate_series(1, ${1 + random(12)})`,
        );
        open.push(begun);
      } else if (ended) {
        await ended.query(random(4) > 0 ? 'commit' : 'rollback');
        free.push(ended);
      } else if (action === 2) {
        await publishRange(database, 1, random(5));
      } else {
        await reader.page();
      }
      const { rows } = await database.query(
        `select count(*)::int as all,
           (count(*) filter (where id > greatest(done_id, window_id)))::int as above
         from pgwatch.notification_log, pgwatch.consumer_progress`,
      );
      const unread = rows[0].all - reader.seen.size;
      expect((await lag()).unread, `step ${step}`).toBe(unread);
      if (rows[0].above !== unread) wrong += 1;
    }
    // The wrong variant, which counts what lies after the position, must be detected.
    expect(wrong).toBeGreaterThan(0);
    expect(reader.seen.size).toBeGreaterThan(size(100, 20));
    await Promise.all(open.map((client) => client.query('rollback')));
  });

  test('is estimated if much is unread, without reading it all', async () => {
    await reading(500);
    await publish(database, 1);
    // Every third notification is in a wanted channel.
    await database.query(
      `insert into pgwatch.notification_log (xid, channel, payload)
       select pg_current_xact_id(), case n % 3 when 0 then 'c' else 'other' end, to_jsonb(n)
       from generate_series(1, 180000) as n`,
    );
    const { unread, isExact, oldestAt } = await lag();
    expect(isExact).toBe(false);
    expect(unread).toBeGreaterThan(59_000);
    expect(unread).toBeLessThan(61_000);
    const { rows } = await database.query('select min(created_at) from pgwatch.notification_log');
    expect(oldestAt).toEqual(rows[0].min);
  });

  test("includes leased notifications that a shared consumer's position has passed", async () => {
    const reader = await reading(500);
    await publishRange(database, 1, 10);
    await reader.page();
    await database.query(
      `insert into pgwatch.lease (consumer_id, notification_ids, kind)
       select 'c', array_agg(id order by id), kind from pgwatch.notification_log
       join (values (0, 'page'), (1, 'retry')) as k (rest, kind) on id % 2 = rest group by kind`,
    );
    expect(await lag()).toEqual({ unread: 5, isExact: true, oldestAt: expect.any(Date) });
  });
});
