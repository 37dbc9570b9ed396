import { AsyncLocalStorage } from 'node:async_hooks';
import { Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  type Around,
  type ConsumerContext,
  type ConsumerDefinition,
  createPgwatch,
  type NewDeadLetter,
  type Pgwatch,
  type PgwatchOptions,
} from '../../src/index.ts';
import { useDatabase } from '../helpers/database.ts';
import { useService } from '../helpers/service.ts';

const database = useDatabase();
beforeEach(() => database.query('create table effect (text text)'));
afterEach(() => database.query('drop table effect'));

const { open, told } = useService(database, { pollInterval: '50ms' });

type Handling = Partial<ConsumerDefinition<string>> & Record<string, unknown>;

/** Publishes payloads and handles them once; the first attempt is the last. */
async function run(options: PgwatchOptions, handling: Handling, ...payloads: string[]) {
  const pgwatch = open(options);
  const consumer = { id: 'c', channels: ['c'], retry: { attempts: 1 }, ...handling };
  await pgwatch.notifyMany(payloads.map((payload) => ({ channel: 'c', payload })));
  const listening = await pgwatch.listen([consumer as ConsumerDefinition], { once: true });
  await listening.done.catch(() => {});
  return pgwatch;
}

const errors = async (pgwatch: Pgwatch) =>
  (await pgwatch.deadLetters.list()).map(({ lastError }) => lastError?.message);

describe('around', () => {
  test('surrounds each call, that of the config outside that of the consumer', async () => {
    const steps: string[] = [];
    const storage = new AsyncLocalStorage<string>();
    const step =
      (name: string): Around =>
      async (call, { notifications, context }) => {
        steps.push(`${name} begins ${notifications[0]?.payload} for ${context.consumerId}`);
        await storage.run(`${storage.getStore() ?? ''}${name}`, call);
        steps.push(`${name} ends`);
      };
    const handle = () => void steps.push(`handled within ${storage.getStore()}`);
    await run({ around: step('A') }, { around: step('B'), handle }, 'x');
    expect(steps).toEqual([
      'A begins x for c',
      'B begins x for c',
      'handled within AB',
      'B ends',
      'A ends',
    ]);
  });

  test('also surrounds what a subscription hands out', async () => {
    const around: Around = async (call, { context }) => {
      await context.db.query(`set local application_name = 'tenant 7'`);
      await call();
    };
    const pgwatch = open({ around });
    await pgwatch.notify('c', 'x');
    const options = { consumer: 'c', channels: ['c'], transaction: true };
    for await (const delivery of pgwatch.subscribe(options)) {
      const { rows } = await delivery.db.query('show application_name');
      await delivery.ack();
      expect(rows).toEqual([{ application_name: 'tenant 7' }]);
      break;
    }
  });

  const swallowing: Around = async (call) => {
    await call().catch(() => {});
  };
  const notWaiting: Around = (call) => void call();
  test.each([
    ['catches the error', swallowing, 'the handler has failed'],
    ['does not wait', notWaiting, 'the handler has failed'],
    ['makes no call', () => {}, 'around() has ended without making its call'],
    [
      'makes its call twice',
      async (call) => {
        await call().catch(() => {});
        await call();
      },
      'around() has made its call twice',
    ],
  ] satisfies [string, Around, string][])(
    'if it %s, the call has failed',
    async (_, around, error) => {
      const handle = async () => {
        await new Promise((resolve) => setImmediate(resolve));
        throw new Error('the handler has failed');
      };
      expect(await errors(await run({}, { around, handle }, 'x'))).toEqual([error]);
    },
  );

  test('if it catches what a handler throws before its first await, that counts', async () => {
    const around: Around = async (call) => {
      try {
        await call();
      } catch {}
    };
    const handle = () => {
      throw new Error('the handler has failed');
    };
    expect(await errors(await run({}, { around, handle }, 'x'))).toEqual([
      'the handler has failed',
    ]);
  });

  test('if it throws after the call, the effects are undone', async () => {
    const around: Around = async (call, { notifications }) => {
      await call();
      if (notifications[0]?.payload === 'x') throw new Error('too late');
    };
    const pgwatch = await run(
      { around },
      {
        transaction: true,
        handle: ({ payload }, { db }) => db.query('insert into effect values ($1)', [payload]),
      },
      'x',
      'y',
    );
    expect(await errors(pgwatch)).toEqual(['too late']);
    expect((await database.query('select text from effect')).rows).toEqual([{ text: 'y' }]);
  });

  test('may set a role for row level security, which does not settle', async () => {
    await database.query(`create role tenant; grant insert on effect to tenant`);
    onTestFinished(async () => {
      await database.query('drop owned by tenant; drop role tenant');
    });
    const around: Around = async (call, { context }) => {
      await context.db.query('set local role tenant');
      await call();
    };
    const handle = ({ payload }: { payload: string }, { db }: ConsumerContext) =>
      db.query(`insert into effect values ($1 || ' by ' || current_user)`, [payload]);
    // Nothing else is reset in a pool that is not pgwatch's own.
    const pool = new Pool({ connectionString: database.url });
    onTestFinished(() => pool.end());
    const pgwatch = await run({ around, pool }, { transaction: true, handle }, 'x', 'y');
    expect(await errors(pgwatch)).toEqual([]);
    const { rows } = await database.query('select text from effect order by text');
    expect(rows.map(({ text }) => text)).toEqual(['x by tenant', 'y by tenant']);
  });

  test('a batch keeps its results', async () => {
    const handleBatch = (notifications: unknown[]) =>
      notifications.map((_, index) => (index === 1 ? new Error('the second') : undefined));
    const around: Around = (call) => call().then(() => 'another result');
    const pgwatch = await run({ around }, { handleBatch }, 'x', 'y', 'z');
    expect(await errors(pgwatch)).toEqual(['the second']);
  });
});

describe('onDead', () => {
  test('is called once for each dead letter, after it was saved', async () => {
    const dead: [NewDeadLetter, number][] = [];
    const onDead = async (letter: NewDeadLetter) => {
      const { rows } = await database.query('select from pgwatch.delivery where state = $1', [
        'dead',
      ]);
      dead.push([letter, rows.length]);
    };
    const handle = ({ payload }: { payload: string }) => {
      if (payload !== 'y') throw new Error(`no ${payload}`);
    };
    await run({ onDead }, { handle }, 'x', 'y', 'z');
    expect(dead.map(([letter]) => letter)).toEqual(
      ['x', 'z'].map((payload) => ({
        consumerId: 'c',
        notificationId: expect.any(Number),
        key: null,
        attempts: 1,
        error: new Error(`no ${payload}`),
        notification: expect.objectContaining({ payload }),
      })),
    );
    expect(dead.every(([, saved]) => saved > 0)).toBe(true);
  });

  test('its failure is reported, and stops nothing', async () => {
    const onDead = () => {
      throw new Error('no mail');
    };
    const handle = () => Promise.reject(new Error('no'));
    const pgwatch = await run({ onDead }, { handle }, 'x');
    expect(await errors(pgwatch)).toEqual(['no']);
    expect(told.join()).toMatch(/onDead\(\) failed for notification \d+ of c: no mail\./);
  });

  test('a config that gives something else is refused', () => {
    expect(() => createPgwatch({ onDead: 'mail' as never })).toThrow(
      "onDead must be a function, not 'mail'.",
    );
  });
});
