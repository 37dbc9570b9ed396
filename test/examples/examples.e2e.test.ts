import { afterEach, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';
import { openMailService } from './mail-service.ts';
import { type Running, readExample, startExample } from './running.ts';

/*
Goal: the examples do what they show: orders have their effects, what is rolled back has none, and a
process that is told to stop loses nothing.
Method: each is started as its package.json does. The test is its mail service, and so decides how
long a handler runs.
*/

const database = useDatabase();
const started: Running[] = [];

type Place = (running: Running, item: string) => Promise<boolean>;

const overHttp: Place = ({ post }, item) => post(item);
const EXAMPLES: [name: string, place: Place, hasList: boolean][] = [
  ['express', overHttp, true],
  ['fastify', overHttp, true],
  ['nest', overHttp, true],
  ['next', overHttp, true],
  ['worker', ({ order }, item) => order(item), false],
];

beforeAll(async () => {
  await database.query(readExample('schema.sql'));
  // A commit that fails: the order was inserted and published before.
  await database.query(`
    create function refuse() returns trigger language plpgsql
      as $$ begin raise exception 'nobody sells unicorns'; end $$;
    create constraint trigger refuse after insert on orders deferrable initially deferred
      for each row when (new.item = 'unicorn') execute function refuse()`);
});

afterEach(async () => {
  for (const { process } of started.splice(0)) {
    process.signal('SIGTERM');
    await process.exited;
  }
  await emptyLog(database);
  await database.query('truncate orders, invoices, shipments restart identity');
});

/** The items of the orders in a table. */
async function itemsIn(table: 'invoices' | 'shipments'): Promise<string[]> {
  const { rows } = await database.query(
    `select item from ${table} join orders on orders.id = order_id order by item`,
  );
  return rows.map(({ item }) => item as string);
}

describe.each(EXAMPLES)('%s', (name, place, hasList) => {
  const start = async (mailUrl: string) => {
    const running = await startExample(name, { DATABASE_URL: database.url, MAIL_URL: mailUrl });
    started.push(running);
    return running;
  };
  const listed = (running: Running) => (hasList ? running.list() : itemsIn('shipments'));

  test('an order has its effects, and one that is rolled back has none', async () => {
    const { mails, url } = await openMailService((count) => (count === 1 ? 503 : 200));
    const running = await start(url);
    expect(await listed(running)).toEqual([]);
    expect(await place(running, 'unicorn')).toBe(false);
    expect(await place(running, 'lamp')).toBe(true);
    await until('the mail was sent again', () => mails.length === 2);
    await until('there is an invoice', async () => (await itemsIn('invoices')).length > 0);
    await until('it is listed', async () => (await listed(running)).length > 0);
    const [mail] = mails;
    expect(mail?.subject).toMatch(/^Order \d+: lamp$/);
    expect(mails).toEqual([mail, mail]);
    expect(await itemsIn('invoices')).toEqual(['lamp']);
    expect(await listed(running)).toEqual(['lamp']);
    const { rows } = await database.query('select payload from pgwatch.notification_log');
    expect(rows).toEqual([{ payload: { id: expect.any(Number), item: 'lamp' } }]);
  });

  test.runIf(hasList)('the list is kept until a notification says that it changed', async () => {
    const { url } = await openMailService(() => 200);
    const running = await start(url);
    expect(await running.list()).toEqual([]);
    await database.query(`insert into orders (item) values ('lamp')`);
    expect(await running.list()).toEqual([]);
    await database.query(`select smart_notify('orders.changed')`);
    await until('it is read again', async () => (await running.list()).length > 0);
  });

  test('it is not healthy while it cannot reach the database', async () => {
    const { url } = await openMailService(() => 200);
    const running = await start(url);
    await allowConnections(false);
    onTestFinished(() => allowConnections(true));
    await until('it is not healthy', async () => !(await running.isHealthy()));
    await allowConnections(true);
    await until('it is healthy', () => running.isHealthy());
  });

  test('SIGTERM lets a handler finish, and nothing is lost', async () => {
    const answer = Promise.withResolvers<number>();
    const { mails, url } = await openMailService((count) => (count === 1 ? answer.promise : 200));
    const running = await start(url);
    await place(running, 'first');
    await until('a handler runs', () => mails.length === 1);
    await place(running, 'second');
    running.process.signal('SIGTERM');
    await until('it takes no requests', async () => !(await running.isListening()));
    await database.query(`with placed as (insert into orders (item) values ('third') returning *)
      select smart_notify('orders.created', to_jsonb(placed)) from placed`);
    answer.resolve(200);
    expect(await running.process.exited).toMatchObject({ exitCode: 0 });
    expect(mails).toHaveLength(1);
    const again = await start(url);
    const all = ['first', 'second', 'third'];
    await until('all have a mail', () => mails.length === 3);
    await until('all have an invoice', async () => (await itemsIn('invoices')).length >= 3);
    await until('all are listed', async () => (await listed(again)).length === 3);
    expect(mails.map(({ subject }) => subject)).toEqual(
      all.map((item) => expect.stringMatching(`: ${item}$`)),
    );
    expect(await itemsIn('invoices')).toEqual(all);
    const { rows } = await database.query('select from pgwatch.delivery');
    expect(rows).toEqual([]);
  });
});

/** For everyone, the superuser included. */
async function allowConnections(areAllowed: boolean): Promise<void> {
  const name = new URL(database.url).pathname.slice(1);
  await withConnection({ url: inject('serverUrl') }, (client) =>
    client.query(`alter database ${name} with allow_connections ${areAllowed}`),
  );
}
