import { expect, test } from 'vitest';
import type { ConsumerContext } from '../../src/consumers/define.ts';
import { fileReplay } from '../../src/log/by-hand/replay-file.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { tail, publish, filed } = useDelivering(database);

// Other notifications in the same lease, of this key or another key of its slot, are not part of
// the replay.
test.each([['a'], ['a', 'a'], ['a', 'b', 'c', 'd', 'a', 'b']])(
  'a replay of a key while %s is handled in a transaction leaves one effect of the latter',
  async (...keys) => {
    const client = await database.connect();
    await client.query('create table if not exists effect (payload jsonb)');
    await client.query('truncate effect');
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isHeld = false;
    await tail({
      id: 'c',
      channels: ['c'],
      instances: 'shared',
      transaction: true,
      async handle({ payload }: { payload: unknown }, { db }: ConsumerContext) {
        await db.query('insert into effect values ($1)', [JSON.stringify(payload)]);
        if (payload !== 'new 0' || isHeld) return;
        isHeld = true;
        await held;
      },
    });
    const [old = 0] = await publish(['a', 'old']);
    const effects = async () => {
      const { rows } = await client.query('select payload from effect order by payload');
      return rows.map(({ payload }) => payload);
    };
    await until('the old one is handled', async () => (await effects()).length === 1);
    await until('its lease is over', async () => {
      const { rows } = await client.query('select from pgwatch.lease');
      return rows.length === 0 || `${rows.length}`;
    });
    await publish(...keys.map((key, index): [string, unknown] => [key, `new ${index}`]));
    await until('the newest is being handled', () => isHeld);
    const everything = { since: null, until: null, channel: null, key: null };
    const stretch = { consumerId: 'c', ...everything, ids: [old] };
    const replay = { stretch, speed: null, max: 10 };
    expect(await fileReplay(client, 'pgwatch', replay)).toMatchObject({ filed: 1 });
    release();
    const expected = [...keys.map((_, index) => `new ${index}`), 'old', 'old'];
    await until('all have effects', async () => {
      const found = await effects();
      return found.length >= expected.length || JSON.stringify(found);
    });
    await until('none is pending', async () => (await filed()).length === 0);
    expect(await effects()).toEqual(expected);
  },
);
