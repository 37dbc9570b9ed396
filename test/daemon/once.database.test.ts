import { describe, expect } from 'vitest';
import { pauseConsumer } from '../../src/log/by-hand/pause.ts';
import { runOnce as runThroughDoor, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import type { TestDefinition } from '../helpers/doors/doors.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { startProxy } from '../helpers/proxy.ts';
import { isWhole } from '../helpers/share.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const test = handlersOnly('subscribe() has no once');

const database = useDatabase();
const { tail } = useDaemons(database);

const publish = (...keys: string[]) =>
  database.query(`select smart_notify('c', '{}', key => k) from unnest($1::text[]) as k`, [keys]);

const runOnce = (definition: TestDefinition, url = database.url) =>
  runThroughDoor({ ...database.config, url }, definition).ended;

const fine: TestDefinition = { id: 'c', channels: ['c'], handle() {} };
const failing: TestDefinition = {
  ...fine,
  retry: { attempts: 3, backoff: '1h' },
  handle() {
    throw new Error('no');
  },
};

describe.each(some(['one', 'shared'] as const))(
  'a run with --once (%s) does not succeed while',
  (instances) => {
    const own = { instances };

    test('a retry is not due yet, with another notification blocked by it', async () => {
      await publish('a', 'a', 'b');
      await expect(runOnce({ ...failing, ...own })).rejects.toThrow('Notifications failed: 2 of c');
      const error = await runOnce({ ...fine, ...own }).catch((thrown: Error) => thrown.message);
      expect(error).toMatch(
        new RegExp(
          '^Still waiting: c: 2 notifications for a retry, ' +
            'the next at \\d{4}-\\S+Z \\(in \\d+ min \\d+ s\\), 1 notification blocked by',
        ),
      );
      // A new notification of a failing key waits, too; one of another key does not.
      await publish('a', 'c');
      await expect(runOnce({ ...fine, ...own })).rejects.toThrow('2 notifications blocked by');
      await database.query(
        'update pgwatch.delivery set next_attempt_at = now() where next_attempt_at is not null',
      );
      await runOnce({ ...fine, ...own });
    });

    test('the consumer is paused and something waits for it', async () => {
      await publish('a');
      await runOnce({ ...fine, ...own });
      const until = new Date(Date.now() + 3_600_000);
      await pauseConsumer(database.pool, 'pgwatch', { consumerId: 'c', until });
      await runOnce({ ...fine, ...own });
      await publish('a');
      await expect(runOnce({ ...fine, ...own })).rejects.toThrow(
        `c: 1 notification unread, and it is paused until ${until.toISOString()} (in `,
      );
    });

    test('another process is handling a notification of the consumer', async () => {
      let letGo = () => {};
      const gate = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      let isCalled = false;
      const handle = () => {
        isCalled = true;
        return gate;
      };
      await tail({ ...fine, ...own, handle });
      await publish('a');
      await until('it is called', () => isCalled);
      const said =
        instances === 'shared'
          ? '1 notification leased by other processes'
          : `and process ${process.pid} on`;
      await expect(runOnce({ ...fine, ...own })).rejects.toThrow(said);
      letGo();
      await until('it is done', async () => {
        const { rows } = await database.query(
          `select (select sum(unread) from pgwatch.consumer_lag())
             + (select count(*) from pgwatch.lease) as left`,
        );
        return Number(rows[0].left) === 0;
      });
      await runOnce({ ...fine, ...own });
    });
  },
);

test.each(some(['one', 'shared'] as const))(
  'a run with --once (%s) that fails stops cleanly',
  async (instances) => {
    await publish('a');
    await expect(runOnce({ ...failing, instances })).rejects.toThrow('Notifications failed');
    const { rows } = await database.query(
      `select (select count(*)::int from pgwatch.daemon) as daemons,
         (select count(*)::int from pgwatch.consumer_progress where owner is not null) as owned`,
    );
    expect(rows).toEqual([{ daemons: 0, owned: 0 }]);
  },
);

test.each(some(['one', 'shared'] as const))(
  'a run with --once (%s) delivers what waited for a notification that became a dead letter',
  async (instances) => {
    const seen: string[] = [];
    const handle = ({ id, attempt }: { id: number; attempt: number }) => {
      seen.push(`${id}.${attempt}`);
      if (seen[0]?.startsWith(`${id}.`)) throw new Error('no');
    };
    for (let round = 0; round < 5; round++) {
      await publish('a', 'a');
      seen.length = 0;
      const error = await runOnce({
        ...fine,
        instances,
        // A retry that is not due when all else is done would be left.
        retry: { attempts: 2, backoff: () => 0 },
        handle,
      }).catch((thrown: Error) => thrown.message);
      expect(error).toMatch(/^Notifications failed: 1 of c\. "pgwatch dlq/);
      expect(seen).toHaveLength(3);
    }
  },
);

test('a run with --once succeeds despite old dead letters and new notifications', async () => {
  await publish('a');
  const dying = { ...failing, retry: { attempts: 1 } };
  await expect(runOnce(dying)).rejects.toThrow('Notifications failed: 1 of c');
  await runOnce(fine);
  await publish('b');
  await runOnce({ ...fine, handle: ({ key }) => key === 'b' && publish('c').then(() => {}) });
});

handlersOnly('subscribe() has no once', isWhole)(
  'a run with --once fails if the server is unreachable, at the start or in the middle',
  async () => {
    const proxy = await startProxy(database.url);
    await publish('a');
    const cutting = async () => {
      await proxy.close();
    };
    const [start, middle] = await Promise.allSettled([
      runOnce(fine, 'postgres://postgres@127.0.0.1:1/none'),
      runOnce({ ...fine, id: 'd', handle: cutting }, proxy.url),
    ]);
    const rejected = { status: 'rejected', reason: { code: 'connection_failed' } };
    expect(start).toMatchObject(rejected);
    expect(middle).toMatchObject(rejected);
    expect(String((start as PromiseRejectedResult).reason.message)).toContain(
      'no server is listening there',
    );
  },
  60_000,
);
