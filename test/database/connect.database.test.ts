import { expect, test } from 'vitest';
import { destroySocket, withConnection } from '../../src/database/connect.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

test('a connection that the server ends during work is reported as lost', async () => {
  const options = { url: database.url, applicationName: 'doomed' };
  const working = withConnection(options, (client) => client.query('select pg_sleep(60)'));
  const said = expect(working).rejects.toMatchObject({
    code: 'connection_failed',
    message: expect.stringMatching(
      new RegExp(
        '^The connection to .* was lost: terminating connection due to administrator command\\. ' +
          'The last step',
      ),
    ),
  });
  await until('it is at work', async () => {
    const { rowCount } = await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'doomed' and wait_event = 'PgSleep'`,
    );
    return rowCount === 1;
  });
  await said;
});

test('a connection that the network ends is lost, and errors of work are passed on', async () => {
  const lost = withConnection(database, async (client) => {
    destroySocket(client);
    await client.query('select 1');
  });
  await expect(lost).rejects.toThrow(/^The connection to .* was lost: /);
  const refused = withConnection(database, (client) => client.query('select 1 / 0'));
  await expect(refused).rejects.toMatchObject({ code: '22012' });
});
