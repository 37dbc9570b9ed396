import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { notify, notifyMany } from '../../src/log/publish.ts';
import { useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { listening } from '../helpers/listening.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ pollInterval: '10m' });
const { tail } = useDaemons(database);

const ODD_NAMES = [
  'a',
  'x'.repeat(63),
  'é'.repeat(31),
  `${'x'.repeat(59)}🔔`,
  'Orders',
  'orders',
  ' space ',
  'a:b.c-d/e',
  'double"quote',
  "single'quote",
  'back\\slash',
  '🔔 bell',
  'ch; create table x()',
  `"; drop schema pgwatch cascade; --`,
  '$$',
  '%I',
];

test.each([
  ['null', null, 'null'],
  ['no bytes', '', 'an empty one'],
  ['64 bytes', 'x'.repeat(64), `one of 64 bytes: ${'x'.repeat(20)}...`],
  ['63 characters that are 64 bytes', `${'x'.repeat(62)}é`, 'one of 64 bytes: '],
  ['8,000 bytes', 'x'.repeat(8000), 'one of 8000 bytes: '],
])('a channel of %s is refused with PW001', async (_, channel, shown) => {
  const refused = database.query('select smart_notify($1)', [channel]);
  await expect(refused).rejects.toMatchObject({
    code: 'PW001',
    message: expect.stringContaining(`A channel is a name of 1 to 63 bytes, not ${shown}`),
  });
});

test('a refused channel is reported by notify with its code', async () => {
  await expect(notify(database.pool, 'x'.repeat(64), 1)).rejects.toMatchObject({
    code: 'channel_invalid',
  });
  await expect(notify(database.pool, 'a\0b', 1)).rejects.toMatchObject({
    code: 'channel_invalid',
  });
});

test('LISTEN and smart_notify use the same channel, whatever its name', async () => {
  const { client, heard } = await listening(database, ...ODD_NAMES);
  await notifyMany(
    client,
    ODD_NAMES.map((channel) => ({ channel, payload: channel })),
  );
  const pairs = heard.map(({ channel, payload }) => [channel, JSON.parse(payload ?? '').data]);
  expect(pairs).toEqual(ODD_NAMES.map((channel) => [channel, channel]));
});

test('any name of 1 to 63 bytes is returned unchanged', async () => {
  const name = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 63 })
    .filter((text) => !text.includes('\0') && text.isWellFormed() && Buffer.byteLength(text) < 64);
  const { client } = await listening(database);
  await fc.assert(
    fc.asyncProperty(name, async (channel) => {
      const heard: string[] = [];
      const listener = (message: { channel: string }) => heard.push(message.channel);
      client.on('notification', listener);
      await client.query(`listen "${channel.replaceAll('"', '""')}"`);
      await notify(client, channel, {});
      await client.query('unlisten *');
      client.off('notification', listener);
      expect(heard).toEqual([channel]);
    }),
    { numRuns: 60 },
  );
});

test('a sleeping daemon is woken on every channel name, and gets only its own', async () => {
  const seen = new Map<string, Notification[]>(ODD_NAMES.map((name) => [name, []]));
  const daemon = await tail(
    ...ODD_NAMES.map((channel, index) => ({
      id: `odd_${index}`,
      channels: [channel],
      from: 'now' as const,
      handle: (notification: Notification) => seen.get(channel)?.push(notification),
    })),
  );
  for (const mode of ['always', 'doorbell']) {
    for (const channel of ODD_NAMES) {
      await daemon.transitions.for({ type: 'asleep' });
      const count = seen.get(channel)?.length ?? 0;
      await database.query(
        `select set_config('pgwatch.notify', $1, true), smart_notify($2, to_jsonb($2::text))`,
        [mode, channel],
      );
      await until(`${channel} arrives`, () => seen.get(channel)?.length === count + 1);
    }
  }
  for (const [channel, notifications] of seen) {
    expect(notifications.map(({ payload }) => payload)).toEqual([channel, channel]);
  }
  const { rows } = await database.query(`select to_regclass('public.x') as table`);
  expect(rows).toEqual([{ table: null }]);
});
