import type { Pool } from 'pg';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { ConsumerContext, ConsumerDefinition } from '../../src/consumers/define.ts';
import { DeadLetter } from '../../src/consumers/outcome.ts';
import type { Notification } from '../../src/log/notification.ts';
import { notify } from '../../src/log/publish.ts';
import { useDatabase } from '../helpers/database.ts';
import { failing, useDelivering } from '../helpers/delivering.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const scopeTest = handlersOnly('a loop does not run within a call');

const database = useDatabase({ pollInterval: '10m' });
const { tail, publish, untilFiled } = useDelivering(database);

beforeAll(async () => {
  await database.query(
    `create table effect (place serial, payload jsonb);
     create table parent (id int primary key);
     create table child (parent int references parent deferrable initially deferred)`,
  );
});

beforeEach(() => database.query('truncate effect, parent, child'));

let elsewhere: ConsumerContext['db'] | undefined;
const keepDb: Handle = (_, { db }) => {
  elsewhere = db;
};

type Handle = (notification: Notification, context: ConsumerContext) => unknown;

/** A consumer that writes each payload to the table effect, and then calls `handle`. */
function consumer(handle: Handle, rest: Partial<ConsumerDefinition> = {}) {
  return {
    id: 'c',
    channels: ['c'],
    transaction: true,
    retry: { backoff: () => 1 },
    async handle(notification: Notification, context: ConsumerContext) {
      await writeEffect(notification, context);
      await handle(notification, context);
    },
    ...rest,
  } as ConsumerDefinition & { id: string };
}

function writeEffect({ payload }: Notification, { db }: ConsumerContext) {
  return db.query('insert into effect (payload) values ($1)', [JSON.stringify(payload)]);
}

async function effects(): Promise<unknown[]> {
  const { rows } = await database.query('select payload from effect order by place');
  return rows.map(({ payload }) => payload);
}

const untilEffects = (...expected: unknown[]) =>
  until('these are the effects', async () => {
    const found = await effects();
    return JSON.stringify(found) === JSON.stringify(expected) || JSON.stringify(found);
  });

test('a failure undoes only its own effects, and is retried', async () => {
  const fail = failing(2);
  await tail(consumer(({ payload }) => payload === 2 && fail(payload)));
  await publish([null, 1], [null, 2], [null, 3]);
  await untilEffects(1, 3, 2);
  await untilFiled();
});

test('later ones of a key wait for a failed one, in this transaction and the next', async () => {
  const fail = failing(3);
  await tail(consumer(({ payload }) => payload === 'a1' && fail(payload)));
  await publish(['a', 'a1'], ['a', 'a2'], ['b', 'b1'], ['a', 'a3']);
  await publish(['a', 'a4']);
  await untilEffects('b1', 'a1', 'a2', 'a3', 'a4');
  await untilFiled();
});

test('a call that times out undoes its transaction, and blocks its key', async () => {
  const fail = failing(1);
  const handle: Handle = async ({ payload }) => {
    try {
      if (payload === 'a1') fail(payload);
    } catch {
      await new Promise(() => {});
    }
  };
  await tail(consumer(handle, { timeout: 50 }));
  await publish(['b', 'b1'], ['a', 'a1'], ['a', 'a2'], ['b', 'b2']);
  await untilEffects('b1', 'b2', 'a1', 'a2');
  await untilFiled();
});

test('a deferred constraint is traced to its call, and later ones of its key wait', async () => {
  await tail(
    consumer(async ({ payload }, { db }) => {
      if (payload === 'a1') await db.query('insert into child values (7)');
    }),
  );
  await publish(['b', 'b1'], ['a', 'a1'], ['a', 'a2'], ['b', 'b2']);
  await untilEffects('b1', 'b2');
  await database.query('insert into parent values (7)');
  await untilEffects('b1', 'b2', 'a1', 'a2');
  await untilFiled();
});

test('an error that the handler ignores is a failure, and undoes its effects', async () => {
  await tail(
    consumer(
      async (_, { db }) => {
        await db.query('select 1 / 0').catch(() => {});
      },
      { retry: { attempts: 2, backoff: () => 1 } },
    ),
  );
  await publish([null, 'a']);
  const [dead] = await untilFiled('dead');
  expect(dead?.error?.message).toMatch(/the handler continued.*division by zero/);
  expect(await effects()).toEqual([]);
});

test.each(
  some([
    'commit',
    'COMMIT and chain',
    'rollback',
    'begin',
    ' end;',
    '-- done\ncommit',
    '/* done /* really */ */ commit',
    'select 1; commit',
    'commit; begin',
    "prepare transaction 'x'",
    "prepare /* /* in */ two */ transaction 'x'",
  ]),
)(
  'a handler that sends "%s" gets an error, and the position stays with the effects',
  async (text) => {
    await tail(
      consumer(
        async ({ payload }, { db }) => {
          if (payload === 'ends') await db.query(text);
        },
        { retry: { attempts: 2, backoff: () => 1 } },
      ),
    );
    await publish([null, 'before'], [null, 'ends'], [null, 'behind']);
    const [dead] = await untilFiled('dead');
    expect(dead?.error?.message).toMatch(
      /of context\.db, with the position, after the handler returns|multiple/,
    );
    expect((await effects()).sort()).toEqual(['before', 'behind']);
  },
);

test('a handler may use its own savepoints', async () => {
  await tail(
    consumer(async (_, { db }) => {
      await db.query('savepoint mine');
      await db.query('select 1 / 0').catch(() => {});
      await db.query('rollback to savepoint mine');
    }),
  );
  await publish([null, 'a']);
  await untilEffects('a');
});

test.each(
  some([
    ['named pgwatch_call', async () => 'pgwatch_call'],
    ['named filing', async () => 'filing'],
    ["with pgwatch's name of an earlier call", readSavepoint],
  ]),
)('a failure undoes its effects even if the handler sets a savepoint %s', async (_, find) => {
  const names: (string | undefined)[] = [];
  const handle = async (notification: Notification, context: ConsumerContext) => {
    names.push(await find());
    if (names[0]) await context.db.query(`savepoint ${names[0]}`);
    await writeEffect(notification, context);
    if (notification.attempt < 3) throw new Error('not yet');
  };
  await tail(consumer(() => {}, { handle }));
  await publish([null, 'a']);
  await untilEffects('a');
  expect(names).toEqual(names.map(() => expect.any(String)));
});

/** The name of the savepoint that a session of the daemon set last. */
async function readSavepoint(): Promise<string | undefined> {
  const { rows } = await database.query(
    `select name from pg_stat_activity, substring(query from 'savepoint (\\w+)') as name
     where datname = current_database() and name is not null and pid <> pg_backend_pid()`,
  );
  return rows[0]?.name;
}

test('context.db of a call that has ended says so', async () => {
  let kept: ConsumerContext['db'] | undefined;
  await tail(
    consumer((_, { db }) => {
      kept = db;
    }),
  );
  await publish([null, 'a']);
  await untilEffects('a');
  await expect(kept?.query('select 1')).rejects.toThrow('belongs to a call that has ended');
});

test('a query that hangs is abandoned, and its backend ended', async () => {
  const calls: number[] = [];
  const blocker = await database.connect();
  await database.query('insert into parent values (1)');
  await blocker.query('begin; update parent set id = 1');
  await tail(
    consumer(
      async ({ attempt }, { db }) => {
        calls.push(attempt);
        // The first call waits for the lock while it is held, the others need no lock.
        if (attempt === 1) await db.query('update parent set id = 1');
      },
      { timeout: 100 },
    ),
  );
  await publish([null, 'a']);
  await untilEffects('a');
  expect(calls).toEqual([1, 2]);
  await until('its backend is gone', async () => {
    const { rows } = await database.query(
      `select query from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rows.length === 0 || JSON.stringify(rows);
  });
  await blocker.query('rollback');
});

test('a dead letter leaves no effects, and later ones of its key continue', async () => {
  await tail(
    consumer(({ payload }) => {
      if (payload === 'a1') throw new DeadLetter('never');
    }),
  );
  await publish(['a', 'a1'], ['a', 'a2']);
  await untilEffects('a2');
  await untilFiled('dead');
});

scopeTest.each(
  some([
    ['another client', (pool: Pool) => notify(pool, 'd', 1)],
    ["another consumer's context.db", () => elsewhere?.query('select 1')],
  ]),
)('a handler that writes through %s causes one warning', async (_, write) => {
  const daemon = await tail(
    consumer(() => write(database.pool)),
    { id: 'other', channels: ['other'], handle: keepDb },
  );
  await database.query(`select smart_notify('other')`);
  await until('the other has its db', () => elsewhere !== undefined);
  await publish([null, 'a'], [null, 'b']);
  await untilEffects('a', 'b');
  const warnings = daemon.reports.filter((line) => line.includes('another connection'));
  expect(warnings.length).toBe(1);
  elsewhere = undefined;
});

test('a handler that publishes through context.db does so once, without a warning', async () => {
  const fail = failing(1);
  const daemon = await tail(
    consumer(async ({ payload }, { db }) => {
      await notify(db as never, 'd', payload);
      if (payload === 'b') fail(payload);
    }),
  );
  await publish([null, 'a'], [null, 'b']);
  await untilEffects('a', 'b');
  expect(daemon.reports.filter((line) => line.includes('another connection'))).toEqual([]);
  const { rows } = await database.query(
    `select payload from pgwatch.notification_log where channel = 'd' order by id`,
  );
  expect(rows.map(({ payload }) => payload)).toEqual(['a', 'b']);
});
