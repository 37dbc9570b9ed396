import { describe, expect, test } from 'vitest';
import { DeadLetter, RetryAfter } from '../../src/consumers/outcome.ts';
import { useDatabase } from '../helpers/database.ts';
import { failing, useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

// Polling cannot help: a due retry must be called because its time has come.
const database = useDatabase({ pollInterval: '10m' });
const { tail, publish, untilFiled } = useDelivering(database);

/** A consumer that calls `handle` with the payload and records each payload and attempt. */
function consumer(handle: (payload: unknown) => unknown, retry = {}) {
  const calls: [payload: unknown, attempt: number][] = [];
  return {
    calls,
    definition: {
      id: 'c',
      channels: ['c'],
      retry: { backoff: 5, ...retry },
      handle({ payload, attempt }: { payload: unknown; attempt: number }) {
        calls.push([payload, attempt]);
        return handle(payload);
      },
    },
  };
}

test('a handler that throws is called again until it returns, and no row remains', async () => {
  const { calls, definition } = consumer(failing(3));
  await tail(definition);
  await publish([null, 'a']);
  await until('it is called', () => calls.length === 4);
  await untilFiled();
  expect(calls).toEqual([1, 2, 3, 4].map((attempt) => ['a', attempt]));
});

test('a retry that becomes due while the daemon looks for due retries is not missed', async () => {
  const { calls, definition } = consumer(failing(60), { attempts: 100, backoff: () => 2 });
  await tail(definition);
  await publish([null, 'a']);
  await until('it is called', () => calls.length === 61);
});

test('a dead letter keeps its attempts and its first and last error', async () => {
  let count = 0;
  const { calls, definition } = consumer(
    failing(9, () => new TypeError(`failure ${++count}`)),
    { attempts: 3 },
  );
  await tail(definition);
  const [id] = await publish(['k', 'a']);
  const filed = await untilFiled('dead');
  expect(calls.length).toBe(3);
  expect(filed).toEqual([
    {
      id,
      state: 'dead',
      key: 'k',
      attempts: 3,
      error: {
        name: 'TypeError',
        message: 'failure 3',
        stack: expect.stringContaining('outcomes.database.test.ts'),
      },
    },
  ]);
  const { rows } = await database.query(
    `select first_error->>'message' as first, payload #>> '{}' as payload from pgwatch.delivery`,
  );
  expect(rows).toEqual([{ first: 'failure 1', payload: 'a' }]);
});

/** Like the classes of another copy of the package: only the names match. */
const foreign = (name: string, fields = {}) =>
  Object.assign(new Error('foreign'), { name, ...fields });

test.each(
  some([
    ['DeadLetter', () => new DeadLetter('never')],
    ['DeadLetter of another copy', () => foreign('DeadLetter')],
  ]),
)('%s creates a dead letter at once', async (_, makeError) => {
  const { calls, definition } = consumer(failing(9, makeError));
  await tail(definition);
  await publish([null, 'a']);
  expect(await untilFiled('dead')).toMatchObject([{ attempts: 1 }]);
  expect(calls.length).toBe(1);
});

test.each(
  some([
    ['RetryAfter', () => new RetryAfter('80ms')],
    ['RetryAfter of another copy', () => foreign('RetryAfter', { delayMs: 80 })],
  ]),
)('%s delays the retry by that time and spends no attempt', async (_, makeError) => {
  const times: number[] = [];
  const fail = failing(3, makeError);
  const { calls, definition } = consumer(
    (payload) => {
      times.push(performance.now());
      fail(payload);
    },
    { attempts: 1 },
  );
  await tail(definition);
  await publish([null, 'a']);
  await until('it is called', () => calls.length === 4);
  expect(calls.map(([, attempt]) => attempt)).toEqual([1, 1, 1, 1]);
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(79);
  expect(Math.max(...waits)).toBeLessThan(2000);
});

test.each(
  some([
    ['longer than PostgreSQL can represent', Number.MAX_VALUE],
    ['longer than a timer can wait', 1e11],
  ]),
)('a RetryAfter %s is stored, and others are still settled', async (_, delayMs) => {
  const { calls, definition } = consumer((payload) => {
    if (payload === 'later') throw new RetryAfter(delayMs);
  });
  const daemon = await tail(definition);
  const [later] = await publish([null, 'later'], [null, 'now']);
  await until('both are called', () => calls.length === 2);
  expect(await untilFiled('retry')).toMatchObject([{ id: later, attempts: 0 }]);
  await daemon.stop();
  const { rows } = await database.query('select done_id from pgwatch.consumer_progress');
  expect(Number(rows[0].done_id)).toBe((later as number) + 1);
});

test('a backoff function sets the delay; one that throws is replaced', async () => {
  const asked: number[] = [];
  const backoff = (attempt: number) => {
    asked.push(attempt);
    if (attempt === 1) return '5ms';
    if (attempt === 2) return 5;
    throw new Error('broken');
  };
  const { calls, definition } = consumer(failing(3), { backoff });
  const startedAt = performance.now();
  await tail(definition);
  await publish([null, 'a']);
  await until('it is called again after the first two', () => calls.length === 3);
  expect(performance.now() - startedAt).toBeLessThan(1000);
  await until('it is called again after the third', () => calls.length === 4);
  expect(asked).toContain(3);
});

describe('errors of any kind are stored, and the next notification is handled:', () => {
  const throwing = (name: string) =>
    Object.defineProperty(new Error('x'), name, {
      get() {
        throw new Error('unreadable');
      },
    });
  test.each<[string, () => unknown]>(
    some([
      ['no prototype', () => Object.create(null)],
      ['nothing', () => undefined],
      ['NUL and half a surrogate pair', () => new Error('a\0b\ud83d')],
      ['a huge stack', () => Object.assign(new Error('x'), { stack: 'y'.repeat(1e7) })],
      ['a cut surrogate pair', () => new Error(`${'a'.repeat(9999)}😀`)],
      [
        'a stack that is not text',
        () => Object.assign(new Error('x'), { stack: Object.create(null) }),
      ],
      ['a message that is not text', () => Object.assign(new Error('x'), { message: Symbol('m') })],
      ['a name that throws', () => throwing('name')],
      ['a message that throws', () => throwing('message')],
      ['a stack that throws', () => throwing('stack')],
      ['a code that throws', () => throwing('code')],
      ['a cause that throws', () => throwing('cause')],
      [
        'an error as its own cause',
        () => Object.assign(new Error('x'), { cause: throwing('message') }),
      ],
      ['an empty AggregateError', () => new AggregateError([])],
      [
        'a proxy that refuses everything',
        () =>
          new Proxy(new Error('x'), {
            get: () => {
              throw new Error('refused');
            },
            getPrototypeOf: () => {
              throw new Error('refused');
            },
          }),
      ],
    ]),
  )('%s', async (_, makeError) => {
    const { calls, definition } = consumer(
      (payload) => {
        if (payload === 'bad') throw makeError();
      },
      { attempts: 1 },
    );
    await tail(definition);
    const [bad] = await publish([null, 'bad'], [null, 'good']);
    await until('both are called', () => calls.length === 2);
    expect(await untilFiled('dead')).toMatchObject([{ id: bad, attempts: 1 }]);
  });

  test('an Error.prepareStackTrace that throws', async () => {
    const before = Error.prepareStackTrace;
    const { definition } = consumer(failing(1), { attempts: 1 });
    await tail(definition);
    Error.prepareStackTrace = () => {
      throw new Error('broken');
    };
    try {
      await publish([null, 'a']);
      expect(await untilFiled('dead')).toMatchObject([{ error: { message: 'not yet' } }]);
    } finally {
      Error.prepareStackTrace = before;
    }
  });
});
