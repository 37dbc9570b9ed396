import { afterEach, expect } from 'vitest';
import { pageReader } from '../../src/log/page.ts';
import { tellDaemons } from '../../src/log/positions/daemons.ts';
import { startDaemon, startTailing, type TestDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery } from '../helpers/deliveries.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';

const test = filesOnly('it tests parts of the daemon');

/*
Goal: with transaction: true nothing beyond the position is recorded in pgwatch.delivery: once such
a notification is done, its row is gone, and a process that reads on from the position would call
the handler for it again.
Method: a daemon stops after the first of three notifications, the last of which has to wait for its
key; the next daemon retries that key before it reads on.
*/

const database = useDatabase();
let daemon: TestDaemon | undefined;

afterEach(async () => {
  await daemon?.stop();
});

test('a notification waiting for its key is not handled twice after an early stop', async () => {
  const called: unknown[] = [];
  const definition = {
    id: 'exact',
    channels: ['c'],
    from: 'now',
    transaction: true,
    handle({ payload }: { payload: unknown }) {
      called.push(payload);
      if (payload === 'first') stopping ??= daemon?.stop();
    },
  } as const;
  let stopping: Promise<void> | undefined;
  daemon = await startTailing(database.config, [definition]);
  const delivery = { consumerId: 'exact', channel: 'elsewhere', key: 'k', payload: 'head' };
  const head = await addDelivery(database, { ...delivery, state: 'retry', attempts: 1 });
  await daemon.stop();
  await database.query(`
    select smart_notify('c', '"first"', 'a'), smart_notify('c', '"second"', 'b'),
      smart_notify('c', '"waits"', 'k')`);
  // The handler uses it, so it is assigned before the first call.
  daemon = startDaemon(database.config, [definition]);
  await until('it stops', () => stopping !== undefined);
  await stopping;
  const reading = Promise.withResolvers<void>();
  const right = pageReader(database.config.schema);
  daemon = startDaemon(database.config, [definition], {
    async readPage(client, request) {
      await reading.promise;
      return right(client, request);
    },
  });
  await daemon.transitions.for({ type: 'consumer_owned' });
  await database.query(
    'update pgwatch.delivery set next_attempt_at = now() where notification_id = $1',
    [head],
  );
  await tellDaemons(database.pool, 'pgwatch', 'retry');
  await until('the head is called', () => called.includes('head'));
  await until('it is saved', async () => {
    const { rows } = await database.query(
      'select from pgwatch.delivery where notification_id = $1',
      [head],
    );
    return rows.length === 0;
  });
  reading.resolve();
  await until('the second one is called', () => called.includes('second'));
  await until('all are called', () => called.includes('waits'));
  await database.query(`select smart_notify('c', '"last"')`);
  await until('the last one is called', () => called.includes('last'));
  expect(called.filter((payload) => payload === 'waits')).toEqual(['waits']);
});
