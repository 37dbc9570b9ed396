import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { CLAIMED_ON } from '../../src/log/positions/server-sql.ts';
import { collecting, startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { failing, useDelivering } from '../helpers/delivering.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const engineTest = handlersOnly('each subscription has an engine of its own');

/*
Whatever waits is woken by what it waits for: neither polling nor a heartbeat helps here.
*/

const database = useDatabase({ pollInterval: '10m', heartbeatInterval: '10m' });
const { start, tail, keep, publish, untilFiled } = useDelivering(database);

/** Ends the control connection of the daemon that was started first. */
function cutControl() {
  return database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'pgwatch control'
     order by backend_start limit 1`,
  );
}

test('a handler that outlives its session releases the consumer, with a retry due', async () => {
  const gate = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  const fail = failing(1);
  const daemon = await tail({
    id: 'c',
    channels: ['c'],
    retry: { backoff: () => 300 },
    async handle({ payload }) {
      seen.push(payload);
      if (payload === 'again') fail(payload);
      if (payload === 'slow') await gate.promise;
    },
  });
  await publish([null, 'again'], [null, 'slow']);
  await untilFiled('retry');
  await cutControl();
  await daemon.transitions.for({ type: 'listening' }, 2);
  await until('it is due', async () => {
    const { rowCount } = await database.query(
      'select from pgwatch.delivery where next_attempt_at < clock_timestamp()',
    );
    return rowCount === 1;
  });
  // The new session has looked at what is due.
  await database.query(`notify pgwatch, 'pgwatch:retry'`);
  await publish([null, 'later']);
  gate.resolve();
  await daemon.transitions.for({ type: 'consumer_owned' }, 2);
  await untilFiled();
  await until('all are handled', () => seen.includes('later'));
});

test.each(some(['one', 'shared'] as const))(
  'a failure that cannot be saved is saved later, and retried (instances: %s)',
  async (instances) => {
    await database.query(
      `create function refuse() returns trigger language plpgsql as
       $$ begin raise exception 'disk full' using errcode = '53100'; end $$;
     create trigger refuse before insert on pgwatch.delivery
       for each row execute function refuse()`,
    );
    const fail = failing(1);
    let calls = 0;
    const daemon = await tail({
      id: 'c',
      channels: ['c'],
      instances,
      retry: { backoff: () => 1 },
      handle({ payload }) {
        calls += 1;
        fail(payload);
      },
    });
    await publish([null, 'a']);
    await until('it is reported', () => daemon.reports.some((line) => line.includes('disk full')));
    await until('the daemon has stopped trying for now', () => {
      const count = daemon.reports.filter((line) => line.includes('disk full')).length;
      return count >= 5 || `it has tried ${count} times`;
    });
    await database.query('drop function refuse() cascade');
    await until('it is called again', () => calls === 2);
    await untilFiled();
  },
);

test.each(
  some([
    ['never answers', () => new Promise<never>(() => {})],
    ['throws', () => Promise.reject(new Error('the schema registry is down'))],
  ]),
)('a schema that %s fails the call, and does not reject the notification', async (_, validate) => {
  let count = 0;
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) => (count++ === 0 ? validate() : { value }),
    },
  };
  const { seen, definition } = collecting({ schema, timeout: 50, retry: { backoff: () => 1 } });
  await tail(definition);
  await publish([null, 'a']);
  await until('it is called', () => seen.length === 1);
  await untilFiled();
});

test('a schema that never answers does not block the shutdown', async () => {
  const asked = Promise.withResolvers<void>();
  const validate = () => {
    asked.resolve();
    return new Promise<never>(() => {});
  };
  const daemon = await startTailing({ ...database.config, shutdownTimeoutMs: 50 }, [
    {
      id: 'c',
      channels: ['c'],
      schema: { '~standard': { version: 1, vendor: 'test', validate } },
      handle: () => {},
    },
  ]);
  await publish([null, 'a']);
  await asked.promise;
  await daemon.stop();
});

const UNUSED = { id: 'c', channels: ['c'], handle: () => {} };

test('an owner that froze between its save and its commit blocks no process for long', async () => {
  const first = await startTailing(database.config, [UNUSED]);
  await first.stop();
  const frozen = await database.connect();
  const { rows } = await frozen.query(
    `select epoch::int, done_id::int, done_snapshot::text,
       ${CLAIMED_ON} as server
     from pgwatch.consumer_progress as progress`,
  );
  const { epoch, done_id: doneId, done_snapshot: doneSnapshot, server } = rows[0];
  const position = { doneId, doneSnapshot, doneXid: null, window: null };
  await frozen.query('begin');
  const save = { consumerId: 'c', epoch, server, position };
  const saved = await savePositions(frozen, 'pgwatch', [save], { isDurable: true });
  expect(saved.xid).not.toBeNull();
  const next = start(UNUSED);
  await next.transitions.for({ type: 'consumer_standby' });
  await next.transitions.for({ type: 'consumer_owned' });
});

test("an idle owner learns of another one's takeover before its next settlement", async () => {
  const daemon = await tail(UNUSED);
  await database.query('update pgwatch.consumer_progress set epoch = epoch + 10');
  await database.query(`notify pgwatch, 'pgwatch:owners'`);
  await daemon.transitions.for({ type: 'consumer_lost', epoch: 1 });
  await daemon.transitions.for({ type: 'consumer_owned', epoch: 12 });
});

/** The consumers of a process, and the calls that it made. */
function process(hang: (id: string) => unknown) {
  const seen: string[] = [];
  const consumers = ['a', 'y', 'z'].map((id) => ({
    id,
    channels: [id],
    async handle({ payload }: Notification) {
      seen.push(`${id}${payload}`);
      await hang(id);
    },
  }));
  return { seen, consumers };
}

engineTest(
  'a consumer that hangs in a lost session does not return to where it cannot run',
  async () => {
    const gate = Promise.withResolvers<void>();
    const first = process((id) => id === 'a' && gate.promise);
    const second = process(() => {});
    const away = { ...database.config, reconnectDelayMs: 4000 };
    const returning = keep(await startTailing(away, first.consumers));
    await database.query(`select smart_notify('a', '1')`);
    await until('it hangs', () => first.seen.length === 1);
    const taking = start(...second.consumers);
    await taking.transitions.for({ type: 'listening' });
    await cutControl();
    await until('all are taken over', () => second.seen.includes('a1'));
    await returning.transitions.for({ type: 'consumer_owned', consumerId: 'y', epoch: 3 });
    await database.query(`select smart_notify('a', '2')`);
    await until('it is handled where it can run', () => second.seen.includes('a2'));
    gate.resolve();
  },
);

engineTest(
  'a consumer that hangs in a lost session goes to a process that can run it',
  async () => {
    const gate = Promise.withResolvers<void>();
    const first = process((id) => id === 'a' && gate.promise);
    const second = process(() => {});
    const returning = await tail(...first.consumers);
    await database.query(`select smart_notify('a', '1')`);
    await until('it hangs', () => first.seen.length === 1);
    const waiting = start(...second.consumers);
    await waiting.transitions.for({ type: 'consumer_standby', consumerId: 'a' });
    await cutControl();
    await returning.transitions.for({ type: 'connected' }, 2);
    await until('it is handled where it can run', () => second.seen.includes('a1'));
    gate.resolve();
  },
);

engineTest('a stopping process passes on idle consumers while it waits for a handler', async () => {
  const gate = Promise.withResolvers<void>();
  const first = process((id) => id === 'z' && gate.promise);
  const second = process(() => {});
  const stopping = await startTailing(database.config, first.consumers);
  await database.query(`select smart_notify('z', '1')`);
  await until('it hangs', () => first.seen.length === 1);
  const taking = start(...second.consumers);
  await taking.transitions.for({ type: 'consumer_owned', consumerId: 'a', epoch: 2 });
  const stopped = stopping.stop();
  await database.query(`select smart_notify('y', '2')`);
  await until('it is handled', () => second.seen.includes('y2'));
  expect(second.seen).toEqual(['y2']);
  gate.resolve();
  await stopped;
});
