import { expect, test } from 'vitest';
import { tellDaemons } from '../../src/log/positions/daemons.ts';
import { startDaemon, startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { seize } from '../helpers/owner.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { start, keep, publish, untilFiled } = useDelivering(database);

const waiting = {
  id: 'c',
  channels: ['c'],
  retry: { backoff: () => 3_600_000 },
  handle: () => Promise.reject(new Error('not yet')),
};

test('a takeover that fails halfway still knows that the previous owner has died', async () => {
  const first = await startTailing(database.config, [waiting]);
  await publish(['a', 1]);
  await untilFiled('retry');
  await first.stop();
  await seize(await database.connect(), { consumerId: 'c', channels: ['c'] });
  await database.query(`
    create function fail() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
    create trigger fail before update on pgwatch.delivery for each row execute function fail()`);
  const daemon = start(waiting);
  await daemon.transitions.for({ type: 'disconnected' });
  await database.query('drop trigger fail on pgwatch.delivery');
  await daemon.transitions.for({ type: 'consumer_owned' });
  await until('it is suspect', async () => {
    const { rows } = await database.query('select is_suspect from pgwatch.delivery');
    return rows[0].is_suspect || JSON.stringify(rows);
  });
  expect(daemon.reports.join('')).toContain('c was not stopped cleanly');
});

test('a takeover may take longer than a heartbeat', async () => {
  await (await startTailing(database.config, [waiting])).stop();
  await seize(await database.connect(), { consumerId: 'c', channels: ['c'] });
  await database.query(`
    create function wait() returns trigger language plpgsql as
    $$ begin perform pg_sleep(1); return null; end $$;
    create trigger wait before update on pgwatch.delivery execute function wait()`);
  const beats = { heartbeatIntervalMs: 100, heartbeatDeadlineMs: 300 };
  const daemon = keep(startDaemon({ ...database.config, ...beats }, [waiting]));
  await daemon.transitions.for({ type: 'consumer_owned' });
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
  await database.query('drop trigger wait on pgwatch.delivery');
});

test('a locked delivery does not hold up other consumers', async () => {
  const seen: unknown[] = [];
  const other = { ...waiting, id: 'd', handle: () => void seen.push('d') };
  const first = await startTailing(database.config, [waiting]);
  await publish(['a', 1]);
  await untilFiled('retry');
  await first.stop();
  const client = await database.connect();
  await seize(client, { consumerId: 'c', channels: ['c'] });
  await client.query('begin; select from pgwatch.delivery for update');
  const beats = { heartbeatIntervalMs: 100, heartbeatDeadlineMs: 300 };
  const daemon = keep(startDaemon({ ...database.config, ...beats }, [waiting, other]));
  await until('the other consumer works', () => seen.length === 1);
  await client.query('rollback');
  await daemon.transitions.for({ type: 'consumer_owned', consumerId: 'c' });
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
});

test('a daemon that cannot take its own consumer back does not wait for the lock', async () => {
  const beats = { heartbeatIntervalMs: 100, heartbeatDeadlineMs: 300 };
  const daemon = keep(await startTailing({ ...database.config, ...beats }, [waiting]));
  const client = await database.connect();
  await client.query(
    'begin; update pgwatch.consumer_progress set epoch = epoch + 1; commit; begin',
  );
  await client.query('select from pgwatch.consumer_progress for update');
  await tellDaemons(database.pool, 'pgwatch', 'owners');
  await daemon.transitions.for({ type: 'consumer_standby' });
  const { rows: alive } = await database.query(
    `select alive_until + interval '1 s' as later from pgwatch.daemon`,
  );
  const { later } = alive[0];
  await until('it is alive for another second', async () => {
    const { rows } = await database.query(
      'select alive_until > $1 as is_alive from pgwatch.daemon',
      [later],
    );
    return rows[0].is_alive || 'not yet';
  });
  await client.query('rollback');
  await daemon.transitions.for({ type: 'consumer_owned', epoch: 3 });
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
});
