import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { startEmbedded } from '../../src/embedded/server.ts';
import { collecting, startDaemon, startTailing } from '../helpers/daemon.ts';
import { restartServer, useIsolatedServer } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a daemon works only on a server that can write, and waits for one without flooding its output.
Method: a hot standby from a copy of the server's files, which is promoted later; and a server that
stops writing without closing a connection.
*/

const database = useIsolatedServer();

/** A standby of the server, in the state after a restart. */
async function startStandby() {
  const { server } = database;
  const folder = `${server.folder}-standby`;
  await server.stop();
  // -a keeps the owner, who runs the server.
  execFileSync('cp', ['-a', server.folder, folder]);
  await restartServer(database);
  writeFileSync(join(folder, 'data', 'standby.signal'), '');
  const standby = await startEmbedded({
    folder,
    binaries: process.env.PGWATCH_TEST_BINARIES,
    // A standby needs at least as many as its primary had.
    settings: { fsync: 'off', max_connections: '200' },
  });
  onTestFinished(async () => {
    await standby.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return standby;
}

test('a standby is asked every one to two seconds, and used once it is promoted', async () => {
  const { url } = await startStandby();
  const patient = startDaemon({ ...database.config, url, reconnectDelayMs: 500 }, [
    collecting().definition,
  ]);
  await patient.transitions.for({ type: 'disconnected' }, 6);
  await patient.stop();
  for (const line of patient.reports) expect(line).toContain('The server is a standby: ');
  const waits = patient.reports.map((line) =>
    Number(/Trying again in ([\d.]+) s\./.exec(line)?.[1]),
  );
  // The first two delays grow to this.
  for (const wait of waits.slice(2)) expect(wait).toBeGreaterThanOrEqual(1);
  expect(Math.max(...waits.slice(2))).toBeLessThanOrEqual(2);

  const { seen, definition } = collecting();
  const daemon = startDaemon({ ...database.config, url }, [definition]);
  await daemon.transitions.for({ type: 'disconnected' });
  await withConnection({ url }, async (client) => {
    await client.query('select pg_promote()');
    await daemon.transitions.for({ type: 'tail_joined' });
    await client.query(`select smart_notify('c', '1')`);
  });
  await until('it works there', () => seen.length === 1);
  await daemon.stop();
});

test('a server that turns read-only is left, even if it closes no connection', async () => {
  const { seen, definition } = collecting();
  const config = { ...database.config, heartbeatIntervalMs: 50 };
  const daemon = await startTailing(config, [definition]);
  const setReadOnly = async (value: 'on' | 'off') => {
    await database.query('set default_transaction_read_only = off');
    await database.query(`alter system set default_transaction_read_only = ${value}`);
    await database.query('select pg_reload_conf()');
  };
  await setReadOnly('on');
  const refusal =
    'The server is read-only (default_transaction_read_only); pgwatch has to save positions.';
  await until('it is refused', () => daemon.reports.join('').includes(refusal));
  await setReadOnly('off');
  await database.query(`select smart_notify('c', '1')`);
  await until('it works again', () => seen.length === 1);
  await daemon.stop();
});
