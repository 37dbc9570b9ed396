import { expect, onTestFinished, test } from 'vitest';
import { collecting, startDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const other = useDatabase();

test('url and directUrl of different databases are reported, and nothing is called', async () => {
  const { seen, definition } = collecting({ from: 'start' });
  const daemon = startDaemon({ ...database.config, directUrl: other.url }, [definition]);
  onTestFinished(() => daemon.stop());
  await database.query(`select smart_notify('c', '1')`);
  await other.query(`select smart_notify('c', '2')`);
  await until(
    'it is said again and again',
    () => daemon.reports.join('').split('reach a different server or database').length > 3,
  );
  expect(seen).toEqual([]);
  expect(daemon.reports.join('')).not.toContain('another process');
});
