import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';

const database = useDatabase();
const EVIL = '\u001b[2J\u009b31m\nemail: done';

const show = (...args: (string | number)[]) =>
  runMain(['show', ...args.map(String)], { env: { DATABASE_URL: database.url } });

test('show prints notifications in full, with their consumers, and names unknown ids', async () => {
  await addConsumers(database, ['email', 'search']);
  const error = { name: 'TypeError', message: EVIL };
  const id = await addDelivery(database, { key: EVIL, payload: { text: EVIL }, error });
  const other = await addDelivery(database, { consumerId: 'search', state: 'retry', attempts: 2 });
  const { stdout, stderr, exitCode } = await show(id, other, 999_999);
  expect(stdout.split('\n')).toEqual([
    `Notification ${id}`,
    '  channel       orders',
    '  key           \\u001b[2J\\u009b31m email: done',
    expect.stringMatching(/^ {2}event id {6}[\da-f-]{36}$/),
    expect.stringMatching(/^ {2}created {7}20\S+Z, .* ago$/),
    expect.stringMatching(/^ {2}transaction {3}\d+$/),
    '  size          39 bytes',
    '  payload',
    '    {',
    '      "text": "\\u001b[2J\\u009b31m\\nemail: done"',
    '    }',
    '  consumers',
    expect.stringMatching(
      '^ {4}email: It has been a dead letter since .* \\(1 min ago\\), after 5 attempts: ' +
        String.raw`TypeError: \\u001b\[2J\\u009b31m email: done$`,
    ),
    '    search: It is the next: the position is at 0.',
    '',
    `Notification ${other}`,
    ...Array(7).fill(expect.any(String)),
    '    {}',
    '  consumers',
    '    email: It waits for 1 other to be delivered: the position is at 0.',
    expect.stringMatching(
      /^ {4}search: It failed, and is retried in 59 min \(attempt 3\): connect/,
    ),
    '',
  ]);
  expect([exitCode, stderr]).toEqual([
    1,
    expect.stringContaining('removed from the log. "pgwatch why 999999" explains.'),
  ]);
});

test('show --json takes an event id, and wrong ids are refused', async () => {
  const id = await addDelivery(database, { payload: { n: 1 } });
  const { rows } = await database.query('select event_id from pgwatch.notification where id = $1', [
    id,
  ]);
  const { stdout, exitCode } = await show(rows[0].event_id, '--json', '--since', '1h');
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual([
    expect.objectContaining({
      id,
      eventId: rows[0].event_id,
      xid: expect.stringMatching(/^\d+$/),
      bytes: 8,
      source: 'log',
      payload: { n: 1 },
      consumers: [
        {
          consumerId: 'email',
          isArrived: false,
          isExpected: true,
          reasons: [
            expect.objectContaining({
              code: 'dead',
              attempts: 5,
              lastFailedAt: expect.stringMatching(/Z$/),
            }),
          ],
        },
        expect.objectContaining({
          consumerId: 'search',
          reasons: [
            expect.objectContaining({ code: 'not_running' }),
            expect.objectContaining({ code: 'waiting', ahead: 2 }),
          ],
        }),
      ],
    }),
  ]);
  expect(await show('')).toMatchObject({ exitCode: 2, stdout: '' });
  expect((await show('4x')).stderr).toContain('"4x" is not a notification id');
});
