import type { Client } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { DeadLetter } from '../../src/consumers/outcome.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { cancelReplays, fileReplay } from '../../src/log/by-hand/replay-file.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { forgetRemoved } from '../../src/log/retention/clean-log.ts';
import { changeDead } from '../helpers/change-dead.ts';
import type { TestDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const partTest = filesOnly('it tests parts of the daemon');

/*
A discarded notification is not handled. It is delivered again only by a replay or if the position
is moved back before it.
*/

const database = useDatabase();
const { tail, publish, untilFiled } = useDelivering(database);
let client: Client;

beforeAll(async () => {
  client = await database.connect();
});

const discard = () => changeDead(client, 'discard');

const reason = async (id: number) => {
  const { answers } = await explain(client, database.config, { id, consumerId: 'c' });
  return answers.flatMap(({ reasons }) => reasons).map(({ code }) => code);
};

const replay = (id: number) =>
  fileReplay(client, 'pgwatch', {
    stretch: { consumerId: 'c', since: null, until: null, channel: null, key: null, ids: [id] },
    speed: null,
    max: 1,
  });

const seek = async (to: number) => {
  const { rows } = await client.query('select epoch::float8 from pgwatch.consumer_progress');
  const [{ epoch: seenEpoch }] = rows;
  return seekPosition(client, 'pgwatch', { consumerId: 'c', to, seenEpoch, mode: 'idle' });
};

const known = async () => {
  const { rows } = await client.query(
    'select notification_id::float8 as id from pgwatch.discarded order by 1',
  );
  return rows.map(({ id }) => id);
};

describe.each(some([{}, { transaction: true }, { instances: 'shared' as const }]))('%o:', (how) => {
  let seen: unknown[];
  let isMended: boolean;

  /** A daemon for whose handler "bad" becomes a dead letter, until it is fixed. */
  const run = (): Promise<TestDaemon> =>
    tail({
      id: 'c',
      channels: ['c'],
      from: 'start',
      ...how,
      handle({ payload }) {
        seen.push(payload);
        if (payload === 'bad' && !isMended) throw new DeadLetter('never');
      },
    });

  const giveUp = async () => {
    [seen, isMended] = [[], false];
    const daemon = await run();
    const ids = await publish(['k', 'bad'], ['l', 'good']);
    await untilFiled('dead');
    await until('both are handled', () => seen.length === 2);
    await daemon.stop();
    return ids as [number, number];
  };

  test('it is reported as discarded, not done, until a replay of it succeeds', async () => {
    const [bad, good] = await giveUp();
    expect([await reason(bad), await reason(good)]).toEqual([['dead'], ['done']]);
    await discard();
    expect([await reason(bad), await reason(good)]).toEqual([['discarded'], ['done']]);
    await replay(bad);
    expect(await reason(bad)).toContain('replay');
    await cancelReplays(client, 'pgwatch', 'c');
    expect(await reason(bad)).toEqual(['discarded']);
    await replay(bad);
    await run();
    await untilFiled('dead');
    await discard();
    expect(await reason(bad)).toEqual(['discarded']);
    isMended = true;
    await replay(bad);
    await until('it is handled', async () => (await known()).length === 0);
    expect(await reason(bad)).toEqual(['done']);
    expect(seen).toEqual(['bad', 'good', 'bad', 'bad']);
  });

  test('it is delivered again if the position is moved back before it', async () => {
    const [bad, good] = await giveUp();
    await discard();
    await seek(good);
    expect(await reason(bad)).toEqual(['discarded']);
    await seek(bad);
    expect(await reason(bad)).toContain('waiting');
    isMended = true;
    await run();
    await until('both are handled again', () => seen.length === 4);
    expect(seen.slice(2)).toEqual(['bad', 'good']);
    await until('both are done', async () => (await reason(bad)).join() === 'done');
  });

  test('it is not delivered again if it was discarded ahead of the position', async () => {
    const [bad] = await giveUp();
    // As if the process that recorded it had died while an earlier notification was still running.
    await client.query('update pgwatch.consumer_progress set done_id = $1 - 1', [bad]);
    await discard();
    await run();
    await publish(['m', 'next']);
    await until('the next is handled', () => seen.includes('next'));
    expect(seen).toEqual(['bad', 'good', 'good', 'next']);
    expect(await reason(bad)).toEqual(['discarded']);
  });
});

partTest('a discarded notification is remembered while the log holds it', async () => {
  const [kept, gone] = (await publish([null, 1], [null, 2])) as [number, number];
  await client.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
     values ('c', '{c}', $1, pg_current_snapshot())`,
    [gone],
  );
  await client.query(
    `insert into pgwatch.discarded select 'c', unnest($1::bigint[]), '2020-01-01'`,
    [[kept, gone]],
  );
  await client.query('delete from pgwatch.notification_log where id = $1', [gone]);
  expect(await reason(gone)).toEqual(['discarded']);
  const cleaning = { needed: 'keep', patienceMs: 0, signal: new AbortController().signal } as const;
  for (const [before, ids] of [
    ['2019-12-31', [kept, gone]],
    ['2020-01-02', [kept]],
  ] as const) {
    await forgetRemoved(client, { ...cleaning, schema: 'pgwatch', before: new Date(before) });
    expect(await known()).toEqual(ids);
  }
  expect([await reason(kept), await reason(gone)]).toEqual([['discarded'], ['gone']]);
});
