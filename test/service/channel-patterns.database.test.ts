import { describe, expect, onTestFinished, test } from 'vitest';
import { defineConsumer, subscribeTransitions } from '../../src/index.ts';
import { channelTest } from '../../src/log/channels.ts';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { useService } from '../helpers/service.ts';
import { until } from '../helpers/wait.ts';
import { type Random, seededRandom } from '../racing/random.ts';

/** Goal: a pattern like orders.* stands for the channels it matches, wherever channels count. */

const database = useDatabase();
/** They poll so rarely that only the doorbell can wake them. */
const { open } = useService(database, { pollInterval: '1h' });

function recorder(channels: string[], instances: 'one' | 'shared' = 'one') {
  const received: string[] = [];
  const consumer = defineConsumer({
    id: 'audit',
    channels,
    instances,
    handle: ({ channel, payload }) => void received.push(`${channel} ${payload}`),
  });
  return { consumer, received };
}

/** Resolves once a daemon sleeps until the doorbell rings. */
function asleep(): Promise<void> {
  return new Promise((resolve) => {
    const stop = subscribeTransitions(({ type }) => type === 'asleep' && resolve());
    onTestFinished(stop);
  });
}

describe.each(['one', 'shared'] as const)('a consumer (%s)', (instances) => {
  test.each(['always', 'doorbell'])('is woken by any channel that matches (%s)', async (mode) => {
    const pgwatch = open();
    const { consumer, received } = recorder(['orders.*', 'other'], instances);
    const isAsleep = asleep();
    await pgwatch.listen([consumer]);
    await isAsleep;
    await database.query(`
      set local pgwatch.notify = '${mode}';
      select smart_notify(channel, '1') from unnest(array[
        'orders.created', 'orders.paid', 'orders.', 'orders.eu.paid',
        'orders', 'ordersXpaid', 'orders_paid', 'consumer:other', 'ORDERS.PAID'
      ]) with ordinality as c (channel, place) order by place`);
    await until('what matches has arrived', () => received.length >= 4 || received.join());
    expect(received.toSorted()).toEqual([
      'orders. 1',
      'orders.created 1',
      'orders.eu.paid 1',
      'orders.paid 1',
    ]);
  });

  test('catches up on channels that match', async () => {
    const pgwatch = open();
    await pgwatch.notifyMany(
      ['a.x', 'b.x', 'a', 'a.y'].map((channel) => ({ channel, payload: 1 })),
    );
    const { consumer, received } = recorder(['a.*'], instances);
    await (await pgwatch.listen([consumer], { once: true })).done;
    expect(received.toSorted()).toEqual(['a.x 1', 'a.y 1']);
  });
});

test('a star alone stands for all channels but those of single consumers', async () => {
  const pgwatch = open();
  await pgwatch.notifyMany(
    ['a', 'consumer:audit', 'consumer:other', '*'].map((channel) => ({ channel, payload: 1 })),
  );
  const { consumer, received } = recorder(['*']);
  await (await pgwatch.listen([consumer], { once: true })).done;
  expect(received).toEqual(['a 1', 'consumer:audit 1', '* 1']);
});

test('status, why, seek, replay and cleanup follow patterns', async () => {
  const pgwatch = open();
  const { consumer, received } = recorder(['a.*']);
  await (await pgwatch.listen([consumer], { once: true })).done;
  const [x = 0, other = 0, y = 0] = await pgwatch.notifyMany(
    ['a.x', 'b', 'a.y'].map((channel) => ({ channel, payload: 1 })),
  );
  expect((await pgwatch.status(['audit'])).consumers).toMatchObject([{ unread: 2 }]);
  const reasons = async (id: number) =>
    (await pgwatch.why(id, 'audit')).consumers.flatMap((each) =>
      each.reasons.map(({ code }) => code),
    );
  expect(await reasons(other)).toContain('filtered');
  expect(await reasons(x)).not.toContain('filtered');
  expect(await pins()).toEqual([{ consumer_id: 'audit', reason: 'position' }]);
  await (await pgwatch.listen([consumer], { once: true })).done;
  expect(await pgwatch.seek('audit', { by: -1 }, { dryRun: true })).toMatchObject({ toId: y - 1 });
  expect(await pgwatch.replay('audit', { ids: [x, other] })).toMatchObject({ filed: 1 });
  await (await pgwatch.listen([consumer], { once: true })).done;
  expect(received).toEqual(['a.x 1', 'a.y 1', 'a.x 1']);
  await pgwatch.notify('b', 1);
  expect(await pins()).toEqual([]);
});

/** Who needs notifications of the newest partition. */
async function pins(): Promise<unknown[]> {
  const { rows } = await database.query(
    `select p.* from (
       select tableoid as oid from pgwatch.notification_log order by id desc limit 1
     ) as newest join pg_class as c using (oid),
       lateral pgwatch.log_pins(c.relname, null) as p (consumer_id, reason)`,
  );
  return rows;
}

test('a captured change wakes who reads a pattern', async () => {
  await database.query('create table item (id int primary key)');
  onTestFinished(() => database.query('drop table item').then(() => {}));
  await runMain(['trigger', 'add', 'item', '--channel', 'rows.item'], {
    env: { DATABASE_URL: database.url },
  });
  const pgwatch = open();
  const { consumer, received } = recorder(['rows.*']);
  const isAsleep = asleep();
  await pgwatch.listen([consumer]);
  await isAsleep;
  await database.query('insert into item values (1)');
  await until('the change has arrived', () => received.length === 1);
});

test('SQL and JavaScript agree on what a pattern matches, whatever characters it has', async () => {
  const random = seededRandom(Date.now());
  const cases = Array.from({ length: 500 }, () => {
    const channels = [text(random, PATTERN_PARTS), text(random, PATTERN_PARTS)];
    return { channel: text(random, PARTS), channels };
  });
  const { rows } = await database.query(
    `select pgwatch.channel_is_read(
       one ->> 'channel', list, pgwatch.channel_patterns(list)) as is_read
     from jsonb_array_elements($1::jsonb) with ordinality as c (one, place),
       lateral (select array(select jsonb_array_elements_text(one -> 'channels'))) as l (list)
     order by place`,
    [JSON.stringify(cases)],
  );
  const inSql = rows.map((row) => (row as { is_read: boolean }).is_read);
  expect(inSql).toEqual(cases.map(({ channel, channels }) => channelTest(channels)(channel)));
  expect(new Set(inSql)).toEqual(new Set([true, false]));
});

const PARTS = [
  'a',
  'a',
  'b',
  '.',
  '%',
  '_',
  '\\',
  '(',
  '[',
  '$',
  '^',
  '+',
  '\n',
  '😀',
  'consumer:',
];
const PATTERN_PARTS = [...PARTS, '*', '*', '*', '*'];

function text(random: Random, parts: readonly string[]): string {
  const length = 1 + Math.floor(random() * 3);
  return Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join('');
}
