import { describe, expect, test } from 'vitest';
import { DeadLetter } from '../../src/consumers/outcome.ts';
import {
  changeDeadLetters,
  type DeadLetterAction,
} from '../../src/log/by-hand/dead-letter-change.ts';
import { NO_FILTER } from '../../src/log/deliveries/filter.ts';
import type { Notification } from '../../src/log/notification.ts';
import { runOnce } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import type { TestDefinition } from '../helpers/doors/doors.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase({ pollInterval: '10m' });
const { start, tail, publish, filed, untilFiled } = useDelivering(database);

/** Like pgwatch dlq retry and discard. */
async function change(action: DeadLetterAction): Promise<void> {
  const client = await database.connect();
  for await (const _ of changeDeadLetters(client, 'pgwatch', {
    action,
    filter: NO_FILTER,
    isDryRun: false,
  }));
}

/** A consumer for which payloads that start with "bad" become dead letters, until it is fixed. */
function makeMendable(
  rest: { transaction?: boolean; concurrency?: number; onDead?: 'stop'; instances?: 'shared' } = {},
) {
  const seen: Notification[] = [];
  const state = {
    isMended: false,
    gate: Promise.resolve(),
    fail: (): Error => new DeadLetter('never'),
  };
  const definition = {
    id: 'c',
    channels: ['c'],
    ...rest,
    async handle(notification: Notification) {
      seen.push(notification);
      await state.gate;
      if (!state.isMended && String(notification.payload).startsWith('bad')) {
        throw state.fail();
      }
    },
  };
  return { seen, state, definition, payloads: () => seen.map(({ payload }) => payload) };
}

test('a retried dead letter is called at once, as the same notification', async () => {
  const { seen, state, definition } = makeMendable();
  await tail(definition);
  await publish(['k', 'bad']);
  await untilFiled('dead');
  state.isMended = true;
  await change('retry');
  await untilFiled();
  expect(seen.length).toBe(2);
  expect(seen[1]).toMatchObject({ id: seen[0]?.id, eventId: seen[0]?.eventId, attempt: 1 });
  expect(seen[1]?.createdAt).toEqual(seen[0]?.createdAt);
});

test('a dead letter is retried from its copy if the log has lost the notification', async () => {
  const { seen, state, definition } = makeMendable();
  await tail(definition);
  await publish(['k', 'bad']);
  await untilFiled('dead');
  await database.query('truncate pgwatch.notification_log');
  state.isMended = true;
  await change('retry');
  await untilFiled();
  const [first, second] = seen.map((each) => JSON.parse(JSON.stringify(each)));
  expect(second).toEqual({ ...first, isReplay: true });
});

test('a retry whose notification the log has lost becomes a dead letter that says so', async () => {
  await tail({
    id: 'c',
    channels: ['c'],
    retry: { backoff: () => 200 },
    handle() {
      throw new Error('not yet');
    },
  });
  await publish(['k', 'a']);
  await untilFiled('retry');
  await database.query('truncate pgwatch.notification_log');
  const [dead] = await untilFiled('dead');
  expect(dead?.error?.message).toContain('the notification is no longer in the log');
});

test.each(some([1, 4]))(
  'a dead letter retried while its key is busy is called afterwards (concurrency %i)',
  async (concurrency) => {
    const { seen, state, definition, payloads } = makeMendable({ concurrency });
    await tail(definition);
    await publish(['k', 'bad']);
    await untilFiled('dead');
    state.isMended = true;
    const gate = Promise.withResolvers<void>();
    state.gate = gate.promise;
    await publish(['k', 'busy']);
    await until('its key is busy', () => seen.length === 2);
    await change('retry');
    await publish(['k', 'later']);
    gate.resolve();
    await until('all are called', () => seen.length === 4);
    await untilFiled();
    expect(payloads().slice(0, 2)).toEqual(['bad', 'busy']);
    expect(payloads().slice(2).sort()).toEqual(['bad', 'later']);
  },
);

describe.each(some([false, true]))("onDead: 'stop', transaction: %s:", (transaction) => {
  const stopping = { onDead: 'stop', transaction } as const;

  test('nothing new is called until the dead letter is retried, even after a restart', async () => {
    const { state, definition, payloads } = makeMendable(stopping);
    const daemon = await tail(definition);
    await publish(['a', 1], ['b', 'bad'], ['c', 2], ['a', 3]);
    await untilFiled('dead');
    await publish(['d', 4]);
    expect(payloads()).toEqual([1, 'bad']);
    await daemon.stop();
    const second = start(definition);
    await publish(['e', 5]);
    await until('it says so', () => second.reports.some((line) => line.includes('are held back')));
    expect(payloads()).toEqual([1, 'bad']);
    state.isMended = true;
    await change('retry');
    await until('all are called', () => payloads().length === 7);
    await untilFiled();
    expect(payloads().sort()).toEqual([1, 2, 3, 4, 5, 'bad', 'bad']);
  });

  test('notifications blocked by it wait for the decision too, and follow in order', async () => {
    const { state, definition, payloads } = makeMendable(stopping);
    await tail({ ...definition, retry: { attempts: 2, backoff: () => 1 } });
    state.fail = () => new Error('not yet');
    await publish(['b', 'bad'], ['b', 2], ['b', 3]);
    const [, second] = await untilFiled('dead', 'retry', 'blocked');
    expect(second?.attempts).toBe(0);
    state.isMended = true;
    await change('retry');
    await untilFiled();
    expect(payloads()).toEqual(['bad', 'bad', 'bad', 2, 3]);
  });

  test('notifications of its key published meanwhile follow it once it is retried', async () => {
    const { state, definition, payloads } = makeMendable(stopping);
    await tail(definition);
    await publish(['b', 'bad']);
    await untilFiled('dead');
    await publish(['b', 2], ['c', 3]);
    state.isMended = true;
    await change('retry');
    await until('all are called', () => payloads().length === 4);
    expect(payloads().filter((payload) => payload !== 3)).toEqual(['bad', 'bad', 2]);
    await untilFiled();
  });

  test('the consumer continues once the dead letter is discarded', async () => {
    const { definition, payloads } = makeMendable(stopping);
    await tail(definition);
    await publish(['b', 'bad'], ['c', 2]);
    await untilFiled('dead');
    await change('discard');
    await until('it goes on', () => payloads().length === 2);
    expect(payloads()).toEqual(['bad', 2]);
  });
});

describe.each(some([false, true]))('a run with --once, transaction: %s,', (transaction) => {
  const onceTest = handlersOnly('subscribe() has no once');
  const once = (definition: TestDefinition) => runOnce(database.config, definition).ended;

  onceTest('handles everything pending and due, and reports what failed', async () => {
    const seen: unknown[] = [];
    const definition = {
      id: 'c',
      channels: ['c'],
      transaction,
      retry: { backoff: (attempt: number) => (attempt === 1 ? 0 : '1h') },
      handle({ payload, attempt }: Notification) {
        seen.push([payload, attempt]);
        if (payload !== 'ok') throw new Error('not yet');
      },
    };
    await publish(['a', 'bad'], ['a', 'ok'], ['b', 'ok']);
    await expect(once(definition)).rejects.toThrow(
      'Notifications failed: 1 of c. Still waiting: c: 1 notification for a retry, the next at ',
    );
    expect(await filed()).toMatchObject([{ state: 'retry', attempts: 2 }, { state: 'blocked' }]);
    expect(seen).toEqual([
      ['bad', 1],
      ['ok', 1],
      ['bad', 2],
    ]);
  });

  onceTest('ends at a dead letter that stops the consumer, and reports it', async () => {
    const { definition, payloads } = makeMendable({ onDead: 'stop', transaction });
    await publish(['a', 1], ['b', 'bad'], ['c', 2]);
    await expect(once(definition)).rejects.toThrow('Notifications failed: 1 of c');
    await expect(once(definition)).rejects.toThrow('c: a dead letter has stopped it (onDead)');
    expect(payloads()).toEqual([1, 'bad']);
    await change('discard');
    await once(definition);
    expect(payloads()).toEqual([1, 'bad', 2]);
  });
});

test.each(some([{}, { transaction: true }, { instances: 'shared' as const }]))(
  'a dead letter is reported only once it is saved: %o',
  async (options) => {
    await database.query(
      `alter table pgwatch.delivery add constraint refused check (state <> 'dead')`,
    );
    const { definition, seen } = makeMendable();
    const daemon = await tail({ ...definition, ...options });
    await publish(['k', 'bad'], ['l', 'good']);
    await until('both are handled', () => seen.length >= 2);
    await until('it was tried again', () => isTold(daemon.reports, /not be settled yet|violates/));
    expect(isTold(daemon.reports, /now a dead letter/)).toBe(false);
    await database.query('alter table pgwatch.delivery drop constraint refused');
    await untilFiled('dead');
    await until('it is told', () => isTold(daemon.reports, /now a dead letter/));
  },
);

const isTold = (reports: readonly string[], text: RegExp) =>
  reports.some((line) => text.test(line));

test.each([{}, { instances: 'shared' as const }, { transaction: true }])(
  "with onDead: 'stop' nothing passes a dead letter between a retry and what it blocks: %j",
  async (more) => {
    const { seen, state, definition } = makeMendable({ onDead: 'stop', ...more });
    await (await tail(definition)).stop();
    const ids = await publish(['k', 'first'], ['k', 'bad'], ['k', 'last'], ['k', 'very last']);
    await database.query(
      `update pgwatch.consumer_progress
       set done_id = $1, done_snapshot = pg_current_snapshot(), done_xid = null`,
      [ids.at(-1)],
    );
    await database.query(
      `insert into pgwatch.delivery (consumer_id, notification_id, key, state, next_attempt_at)
       select 'c', id, 'k', state, case state when 'retry' then now() end
       from unnest($1::bigint[], '{retry,dead,blocked,blocked}'::text[]) as d (id, state)`,
      [ids],
    );
    const payloads = () => seen.map(({ payload }) => payload);
    await tail(definition);
    await untilFiled('dead', 'retry', 'blocked');
    expect(payloads()).toEqual(['first']);
    state.isMended = true;
    await change('retry');
    await until('the others are handled', () => seen.length === 4 || JSON.stringify(payloads()));
    expect(payloads()).toEqual(['first', 'bad', 'last', 'very last']);
    await untilFiled();
  },
);
