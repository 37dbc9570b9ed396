import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaText } from '../../scripts/schema-text.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { readMigrations } from '../../src/database/migrations.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { runMain } from '../helpers/main.ts';
import { makeProject } from '../helpers/project.ts';

const NAMES = readMigrations().map(({ name }) => name);

async function migrate(args: string[], url: string | undefined, cwd?: string) {
  const env = { DATABASE_URL: url };
  const result = await runMain(['migrate', ...args], cwd ? { env, cwd } : { env });
  return { ...result, stderr: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '') };
}

test('migrate, a second migrate and status print and exit as expected', async () => {
  const { url, client } = await createEmptyDatabase();
  const pending = await migrate(['status', '--json'], url);
  expect(pending.exitCode).toBe(1);
  expect(JSON.parse(pending.stdout)).toMatchObject(
    NAMES.map((name) => ({ name, state: 'pending' })),
  );

  const first = await migrate([], url);
  expect(first.exitCode).toBe(0);
  expect(first.stderr.split('\n')).toEqual([
    ...NAMES.map((name, index) => `Applied migration ${index + 1} "${name}".`),
    'Schema "pgwatch" is ready. Publish with smart_notify(), consume with "pgwatch listen".',
    '',
  ]);
  const second = await migrate(['up'], url);
  expect(second).toEqual({ exitCode: 0, stdout: '', stderr: 'Schema "pgwatch" is up to date.\n' });

  const applied = await migrate(['status'], url);
  expect(applied.exitCode).toBe(0);
  expect(applied.stdout).toMatch(/^NUMBER +NAME +STATE +APPLIED\n1 +log +applied +20\d\d-\S+Z\n/);

  await client.query(`update pgwatch.migration set hash = 'x' where number = 1`);
  const changed = await migrate(['status'], url);
  expect(changed.exitCode).toBe(1);
  expect(changed.stdout).toMatch(/\n1 +log +changed +/);
});

test('applying the printed SQL as one query equals migrating', async () => {
  const cwd = makeProject({
    'pgwatch.config.ts': `export default { schema: 'My Watch', apiSchema: "api's" };`,
  });
  const { stdout, stderr, exitCode } = await migrate(['sql'], undefined, cwd);
  expect([exitCode, stderr]).toEqual([0, '']);

  const [printed, migrated] = [await createEmptyDatabase(), await createEmptyDatabase()];
  for (const { client } of [printed, migrated]) await client.query(`create schema "api's"`);
  await printed.client.query(stdout);
  const config = await migrated.configWith({ schema: 'My Watch', apiSchema: "api's" });
  await migrateUp(migrated.client, config);

  expect((await migrate(['status'], printed.url, cwd)).exitCode).toBe(0);
  expect((await migrate([], printed.url, cwd)).stderr).toBe('Schema "My Watch" is up to date.\n');
  const texts = [
    await schemaText(printed.client, config, {}),
    await schemaText(migrated.client, config, {}),
  ];
  expect(texts[0]).toBe(texts[1]);
});

test('the printed SQL with default names equals the files', async () => {
  const { stdout } = await migrate(['sql'], undefined);
  const file = readFileSync(
    new URL('../../sql/migrations/0004_capture.sql', import.meta.url),
    'utf8',
  );
  const names: Record<string, string> = { schema: 'pgwatch', api_schema: 'public' };
  const filled = file.replaceAll(/:(["'])(schema|api_schema)\1/g, (_, quote, name) => {
    return `${quote}${names[name]}${quote}`;
  });
  expect(stdout).toContain(filled.trimEnd());
});

test('uninstall asks; without a terminal it does nothing and exits with 2', async () => {
  const { url, client } = await createEmptyDatabase();
  await migrate([], url);
  await client.query(`select smart_notify('ch')`);
  await client.query(`create table t (id int);
    create trigger c after insert on t for each row execute function notify_data_change()`);
  const loss = '1 notification and the positions of 0 consumers and the triggers on public.t';
  expect(await migrate(['uninstall'], url)).toEqual({
    exitCode: 2,
    stdout: '',
    stderr:
      `error This removes schema "pgwatch" with ${loss}. This is not a terminal, so ` +
      `it cannot ask: pass --yes to proceed.\n`,
  });
  expect((await migrate(['status'], url)).exitCode).toBe(0);
  expect(await migrate(['uninstall', '--yes'], url)).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: `Removed ${loss}.\n`,
  });
  const { rows } = await client.query(
    `select to_regnamespace('pgwatch') as schema, to_regproc('public.smart_notify') as function,
       (select count(*)::int from pg_trigger where tgrelid = 't'::regclass) as triggers`,
  );
  expect(rows).toEqual([{ schema: null, function: null, triggers: 0 }]);
});
