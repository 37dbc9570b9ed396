import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { pageReader, type ReadPage } from '../../src/log/page.ts';
import { startDaemon, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const test = filesOnly('it tests parts of the daemon');

/*
Goal: a consumer that joins the tail receives everything once, whatever the tail is doing.
Method: reads are distinguished by their channels, and held where the test wants them.
*/

const database = useDatabase();
const { keep } = useDaemons(database);

test('a consumer that joins during a read of the tail receives nothing twice', async () => {
  const right = pageReader(database.config.schema);
  const isTails = (channels: readonly string[]) => channels.length > 2;
  const [own, tails, tailHasRead] = [1, 2, 3].map(() => Promise.withResolvers<void>());
  let isTailHeld = false;
  const readPage: ReadPage = async (client, request) => {
    if (!isTails(request.channels)) {
      if (request.channels.includes('late')) await own?.promise;
      return right(client, request);
    }
    const page = await right(client, request);
    if (isTailHeld) {
      tailHasRead?.resolve();
      await tails?.promise;
    }
    return page;
  };
  const handled: string[] = [];
  const daemon = keep(
    startDaemon(
      database.config,
      [
        { id: 'early', channels: ['early'], handle() {} },
        {
          id: 'late',
          channels: ['late'],
          handle: ({ payload }) => void handled.push(payload as string),
        },
      ],
      { readPage },
    ),
  );
  await daemon.transitions.for({ type: 'tail_joined', consumerId: 'early' });
  isTailHeld = true;
  await publish(database, 'wakes the tail', { channel: 'early' });
  await tailHasRead?.promise;
  await publish(database, 'newer than what the tail has read', { channel: 'late' });
  own?.resolve();
  await until('it has read that itself', () => handled.length > 0);
  // By now it has asked to join.
  for (let turn = 0; turn < 10; turn++) await setImmediate();
  isTailHeld = false;
  tails?.resolve();
  await daemon.transitions.for({ type: 'tail_joined', consumerId: 'late' });
  await publish(database, 'last', { channel: 'late' });
  await until('the last one has come', () => handled.includes('last'));
  expect(handled).toEqual(['newer than what the tail has read', 'last']);
});

test('a long content that is slow to read delays only the consumers that want it', async () => {
  const right = pageReader(database.config.schema);
  const [asked, held] = [1, 2].map(() => Promise.withResolvers<void>());
  let isHeld = false;
  const readPage: ReadPage = async (client, request) => {
    const { channels } = request;
    if (isHeld && channels.includes('long') && !channels.includes('short')) {
      asked?.resolve();
      await held?.promise;
    }
    return right(client, request);
  };
  const handled: string[] = [];
  const handle = ({ channel, payload }: Notification) =>
    void handled.push(`${channel} ${JSON.stringify(payload).length}`);
  const daemon = keep(
    startDaemon(
      database.config,
      [
        ...['long', 'short'].map((id) => ({ id, channels: [id], handle })),
        { id: 'shared', channels: ['short'], instances: 'shared' as const, handle() {} },
      ],
      { readPage },
    ),
  );
  for (const consumerId of ['long', 'short', 'shared']) {
    await daemon.transitions.for({ type: 'tail_joined', consumerId });
  }
  isHeld = true;
  await publish(database, 'before', { channel: 'long' });
  await until('it has come by the tail', () => handled.includes('long 8'));
  await publish(database, 'x'.repeat(1_200_000), { channel: 'long' });
  await asked?.promise;
  await publish(database, 'meanwhile', { channel: 'short' });
  await until('the other one has it', () => handled.includes('short 11'));
  held?.resolve();
  await daemon.transitions.for({ type: 'tail_joined', consumerId: 'long' }, 2);
  expect(handled).toEqual(['long 8', 'short 11', 'long 1200002']);
  // Shorter ones come with the tail, although they are long for a row.
  await publish(database, 'y'.repeat(600_000), { channel: 'long' });
  await until('it has come', () => handled.includes('long 600002'));
  const left = daemon.transitions.seen.filter(
    (each) => each.type === 'tail_left' && each.consumerId === 'long',
  );
  expect(left).toHaveLength(1);
});
