import { beforeEach, describe, expect, test } from 'vitest';
import { Daemon } from '../../src/daemon/daemon.ts';
import { ownReason } from '../../src/inspect/why/decide.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { renameConsumer } from '../../src/log/by-hand/rename-consumer.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { notify } from '../../src/log/publish.ts';
import { collectReports } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase();

beforeEach(() => emptyLog(database));

const publish = (channel: string) => notify(database.pool, channel, {});

/** What has become of a notification at w. */
async function told(id: number, consumerId = 'w'): Promise<string | undefined> {
  const { answers } = await explain(database.pool, database.config, { id, consumerId });
  return answers[0] && ownReason(answers[0])?.code;
}

describe.each(some(['one', 'shared'] as const))(
  'a channel that is read later (%s)',
  (instances) => {
    const seen: number[] = [];
    beforeEach(() => void seen.splice(0));

    /** Runs w on these channels to the end; returns its reports. */
    async function run(channels: string[], id = 'w'): Promise<string> {
      const { reporter, reports } = collectReports();
      const handle = (notification: { id: number }) => void seen.push(notification.id);
      const consumers = [makeConsumer({ id, channels, instances, handle })];
      const daemon = new Daemon({ config: database.config, consumers, reporter });
      await daemon.runOnce(new AbortController().signal);
      return reports.join('');
    }

    test('starts after what was settled before, and this is reported', async () => {
      const [first, second] = [await publish('a'), await publish('b')];
      const third = await publish('a');
      expect(await run(['a'])).not.toContain('the channel');
      expect(await told(second)).toBe('filtered');
      const [later] = [await publish('b')];
      expect(await run(['a', 'b'])).toContain(`w reads the channel b from id ${third + 1} on.`);
      expect(await run(['a', 'b'])).not.toContain('the channel');
      expect(seen).toEqual([first, third, later]);
      expect(await Promise.all([first, second, third, later].map((id) => told(id)))).toEqual([
        'done',
        'before_channel',
        'done',
        'done',
      ]);
      const { rows } = await database.query('select unread::int from pgwatch.consumer_lag()');
      expect(rows).toEqual([{ unread: 0 }]);
    });

    test('may end and begin again: what came in between is not done', async () => {
      await run(['a', 'b']);
      const [read] = [await publish('b')];
      await run(['a', 'b']);
      await publish('a');
      expect(await run(['a'])).toContain('w no longer reads the channel b, from id ');
      const [missed] = [await publish('b')];
      await publish('a');
      await run(['a']);
      expect(await told(read)).toBe('done');
      expect(await told(missed)).toBe('filtered');
      await run(['a', 'b']);
      const [again] = [await publish('b')];
      await run(['a', 'b']);
      expect([await told(read), await told(missed), await told(again)]).toEqual([
        'done',
        'before_channel',
        'done',
      ]);
      expect(seen).not.toContain(missed);
    });

    test('is read from further back after the position was moved there', async () => {
      const [early, second] = [await publish('b'), await publish('b')];
      await publish('a');
      await run(['a']);
      await run(['a', 'b']);
      const { rows } = await database.query('select epoch::int from pgwatch.consumer_progress');
      const seek = { consumerId: 'w', to: second, seenEpoch: rows[0].epoch, mode: 'idle' } as const;
      expect(await seekPosition(await database.connect(), 'pgwatch', seek)).not.toBeNull();
      expect(await told(second)).not.toBe('before_channel');
      await run(['a', 'b']);
      expect([await told(early), await told(second)]).toEqual(['before_channel', 'done']);
      expect(seen).toContain(second);
    });

    test('is kept when the consumer is renamed', async () => {
      const [before] = [await publish('b')];
      await publish('a');
      await run(['a']);
      await run(['a', 'b']);
      const [after] = [await publish('b')];
      await run(['a', 'b']);
      await renameConsumer(await database.connect(), 'pgwatch', { from: 'w', to: 'v' });
      expect(await run(['a', 'b'], 'v')).not.toContain('the channel');
      expect([await told(before, 'v'), await told(after, 'v')]).toEqual(['before_channel', 'done']);
    });
  },
);

test('a transaction that was open when the channel was added is not before it', async () => {
  const { reporter } = collectReports();
  const seen: number[] = [];
  const run = (channels: string[]) => {
    const handle = ({ id }: { id: number }) => void seen.push(id);
    const consumers = [makeConsumer({ id: 'w', channels, handle })];
    const daemon = new Daemon({ config: database.config, consumers, reporter });
    return daemon.runOnce(new AbortController().signal);
  };
  const open = await database.connect();
  await open.query('begin');
  const { rows } = await open.query(`select smart_notify('b')::float8 as id`);
  await publish('a');
  await run(['a']);
  await run(['a', 'b']);
  await open.query('commit');
  expect(await told(rows[0].id)).toBe('late');
  await run(['a', 'b']);
  expect(await told(rows[0].id)).toBe('done');
  expect(seen).toContain(rows[0].id);
});

test('a channel that a consumer has read from its beginning is reported as before', async () => {
  const early = await publish('a');
  const { reporter } = collectReports();
  const definition = { id: 'w', channels: ['a'], from: 'now' as const, handle() {} };
  const consumers = [makeConsumer(definition)];
  const daemon = new Daemon({ config: database.config, consumers, reporter });
  await daemon.runOnce(new AbortController().signal);
  expect(await told(early)).toBe('skipped');
  // If the table was emptied, nothing is known and nothing is made up.
  await database.query('truncate pgwatch.consumer_channel');
  await publish('a');
  await new Daemon({ config: database.config, consumers, reporter }).runOnce(
    new AbortController().signal,
  );
  expect(await told(await publish('a').then((id) => id - 1))).toBe('done');
});
