import { expect, test } from 'vitest';
import { collecting, startDaemon, startTailing, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { start, tail, keep } = useDaemons(database);

const progress = async () =>
  (await database.query('select owner, epoch::int from pgwatch.consumer_progress')).rows[0];

test('a second daemon stands by and takes over when the first stops', async () => {
  const [first, second] = [collecting(), collecting()];
  const owner = await startTailing(database.config, [first.definition]);
  const standby = start(second.definition);
  await standby.transitions.for({ type: 'consumer_standby' });
  await publish(database, 1);
  await until('the owner has it', () => first.seen.length === 1);
  await owner.stop();
  await standby.transitions.for({ type: 'consumer_owned', epoch: 2 });
  await publish(database, 2);
  await until('the other has it', () => second.seen.length === 1);
  expect([first.seen, second.seen]).toEqual([[1], [2]]);
});

test('a clean stop leaves no owner, and every takeover raises the epoch', async () => {
  const { definition } = collecting();
  for (const epoch of [1, 2, 3]) {
    const daemon = await startTailing(database.config, [definition]);
    expect(await progress()).toMatchObject({
      epoch,
      owner: expect.stringMatching(/^[\da-f-]{36}$/),
    });
    await daemon.stop();
    expect(await progress()).toEqual({ epoch, owner: null });
  }
});

test('the epoch keeps a past owner from saving its position', async () => {
  const { seen, definition } = collecting();
  const daemon = await tail(definition);
  await publish(database, 1);
  await daemon.transitions.for({ type: 'position_saved' });
  await database.query('update pgwatch.consumer_progress set epoch = epoch + 10');
  const { rows: before } = await database.query('select done_id from pgwatch.consumer_progress');
  await publish(database, 2);
  await daemon.transitions.for({ type: 'consumer_lost', epoch: 1 });
  const { rows: after } = await database.query('select done_id from pgwatch.consumer_progress');
  expect(after).toEqual(before);
  // It stands by, becomes the owner again, and delivers what was not settled.
  await daemon.transitions.for({ type: 'consumer_owned', epoch: 12 });
  await until('it is delivered again', () => seen.length === 3);
  expect(seen).toEqual([1, 2, 2]);
});

test('a blocked handler does not keep other processes from their consumers', async () => {
  const daemon = startDaemon({ ...database.config, shutdownTimeoutMs: 50 }, [
    { id: 'a', channels: ['c'], handle: () => new Promise(() => {}) },
  ]);
  await daemon.transitions.for({ type: 'consumer_owned', consumerId: 'a' });
  await publish(database, 1);
  const { seen, definition } = collecting({ id: 'b' });
  await tail(definition);
  expect(seen).toEqual([1]);
  await daemon.stop();
});

test('a consumer whose settlement hangs does not hold up other consumers', async () => {
  const seen: unknown[] = [];
  const handle = ({ payload }: { payload: unknown }) => void seen.push(payload);
  await (await startTailing(database.config, [{ id: 'a', channels: ['c'], handle }])).stop();
  const frozen = await database.connect();
  await frozen.query('begin; select from pgwatch.consumer_progress for update');
  const daemon = keep(
    startDaemon({ ...database.config, heartbeatDeadlineMs: 500 }, [
      { id: 'a', channels: ['c'], handle },
      { id: 'b', channels: ['c'], handle },
    ]),
  );
  await daemon.transitions.for({ type: 'consumer_standby', consumerId: 'a' });
  await publish(database, 1);
  await until('the other consumer works', () => seen.length === 1);
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
  await frozen.query('rollback');
  await until('it is taken over', () => seen.length === 2);
});
