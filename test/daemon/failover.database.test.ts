import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useDaemons } from '../helpers/daemon.ts';
import { restartServer, useIsolatedServer } from '../helpers/database.ts';
import { publish, publishOneByOne } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a failover that loses commits, whose ids and xids the new server assigns again, loses no
notification that survives.
Method: the server continues from a copy of its files, made while it ran, on the same port.
*/

const database = useIsolatedServer({ autovacuum: 'off' });
const { tail } = useDaemons(database);

test('a position reached after a failover does not hide what was published since', async () => {
  const { server } = database;
  const [data, copy] = [join(server.folder, 'data'), join(server.folder, 'copy')];
  const seen: unknown[] = [];
  const release = Promise.withResolvers<void>();
  const daemon = await tail({
    id: 'c',
    channels: ['c'],
    handle({ payload }) {
      seen.push(payload);
      return payload === 200 ? release.promise : undefined;
    },
  });
  await publish(database, 1);
  await daemon.transitions.for({ type: 'position_saved' });
  await database.query('checkpoint');
  // -a keeps the owner, who runs the server.
  execFileSync('cp', ['-a', data, copy]);
  // More than the 32 that a sequence skips after a crash.
  await publishOneByOne(database, 2, 200);
  await until('the last is being handled', () => seen.includes(200));

  await server.stop();
  rmSync(data, { recursive: true });
  rmSync(join(copy, 'postmaster.pid'));
  renameSync(copy, data);
  await restartServer(database);
  await daemon.transitions.for({ type: 'listening' }, 2);
  await publishOneByOne(database, 1001, 1010);
  release.resolve();
  await daemon.transitions.for({ type: 'tail_joined' }, 2);
  expect(seen.filter((n) => Number(n) > 1000)).toEqual(
    Array.from({ length: 10 }, (_, i) => 1001 + i),
  );
});
