import { expect, test } from 'vitest';
import { tellDaemons } from '../../src/log/positions/daemons.ts';
import { type TestDaemon, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery, type NewDelivery } from '../helpers/deliveries.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a notification blocked by one that becomes a dead letter without another call is called once.
Method: the consumer is busy with another notification while due retries are read, and read again.
*/

const database = useDatabase();
const { tail } = useDaemons(database);

test.each([true, false])(
  'a notification blocked by a new dead letter is called once, with transaction: %s',
  async (transaction) => {
    const consumerId = `email-${transaction}`;
    const called: unknown[] = [];
    const daemon: TestDaemon = await tail({
      id: consumerId,
      channels: ['orders'],
      from: 'now',
      retry: { attempts: 5 },
      transaction,
      async handle({ payload }) {
        called.push(payload);
        if (payload !== 'busy') return;
        for (const id of heads) {
          await makeDue(id);
          await daemon.transitions.for({
            type: 'handler_failed',
            consumerId,
            notificationId: id,
          });
        }
      },
    });
    const heads = [
      await file(consumerId, { key: 'one', state: 'retry' }),
      await file(consumerId, { key: 'other', state: 'retry' }),
    ];
    await file(consumerId, { key: 'one', state: 'blocked', payload: 'behind' });
    await database.query(`select smart_notify('orders', '"busy"')`);
    await until('it is called', () => called.includes('behind'));
    await database.query(`select smart_notify('orders', '"last"')`);
    await until('the last one is called', () => called.includes('last'));
    expect(called).toEqual(['busy', 'behind', 'last']);
  },
);

/** Records one of a channel that the consumer does not read; a suspect has no attempt left. */
async function file(consumerId: string, delivery: NewDelivery): Promise<number> {
  return addDelivery(database, { consumerId, channel: 'elsewhere', attempts: 5, ...delivery });
}

async function makeDue(id: number): Promise<void> {
  const due = `update pgwatch.delivery set next_attempt_at = now(), is_suspect = true
    where notification_id = $1`;
  await database.query(due, [id]);
  await tellDaemons(database.pool, 'pgwatch', 'retry');
}
