import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { runCli, startCli } from './helpers/cli.ts';
import { compile } from './helpers/compiling.ts';
import { useDatabase } from './helpers/database.ts';
import { linkPackages, makeProject, printingConsumer } from './helpers/project.ts';
import { publish } from './helpers/publish.ts';
import { until } from './helpers/wait.ts';

/*
Goal: the code in docs/embedding.md works as it is shown.
Method: each block names its file in its first line. Those of examples/ must be in that file, which
npm run test:examples tests; the others are compiled and run, in their order.
*/

const database = useDatabase();
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/embedding.md'), 'utf8');
const blocks = [...page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)].map(
  ([, file = '', text = '']) => ({ file, text }),
);
const shown = blocks.filter(({ file }) => file.startsWith('examples/'));
const files: Record<string, string> = {
  ...Object.fromEntries(
    blocks.filter((block) => !shown.includes(block)).map(({ file, text }) => [file, text]),
  ),
  'consumers/printing.js': printingConsumer('printing', ['signup']),
};

beforeAll(() =>
  database.query('create table price (item text, cents int); create table sold (item text)'),
);

test('each block names its file', () => {
  expect(blocks.length).toBe(page.match(/^```ts$/gm)?.length);
  expect(shown.length).toBeGreaterThan(4);
});

test.each(shown)('$file contains what is shown of it', ({ file, text }) => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toContain(text);
});

test('the blocks compile in strict mode', async () => {
  expect(await compile(files, 'built', ['zod'])).toBe('');
});

/** The command that runs a block in a project with pgwatch and pg. */
function settings() {
  const cwd = makeProject(files);
  linkPackages(cwd, ['pg', 'zod']);
  return { cwd, env: { DATABASE_URL: database.url }, command: [process.execPath] as const };
}

describe('the blocks run', () => {
  const ending: [file: string, stdout: RegExp][] = [
    ['start.ts', /^welcome, ada@example\.com\n$/],
    ['folder.ts', /^{"email":"ada@example\.com"}\n$/],
    ['reporter.ts', /^log is new; it starts at start\. { consumer: 'log' }$/m],
    ['hooks.ts', /^billing needs help: no such customer\n$/m],
    ['channels.ts', /^add Durable LISTEN\nremove 1\n$/],
    ['operating.ts', /^retried [1-9]\d*\nunread 0\nconsumer_unknown\n$/],
  ];
  test.each(ending)('%s', async (file, stdout) => {
    expect(await runCli([file], settings())).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(stdout),
    });
  });

  test.each([
    ['loop.ts', 'orders.created', 'ship lamp'],
    ['side-by-side.ts', 'images', 'resize /lamp.png'],
  ])('%s', async (file, channel, line) => {
    await publish(database, { item: 'lamp', url: '/lamp.png' }, { channel });
    const running = startCli([file], settings());
    await running.waitFor(line);
    running.signal('SIGTERM');
    expect(await running.exited).toMatchObject({ exitCode: 0 });
  });

  test('totals.ts', async () => {
    await publish(database, { item: 'shade' }, { channel: 'orders.created' });
    const running = startCli(['totals.ts'], settings());
    await until('it is sold', async () => (await sold('shade')) > 0);
    running.signal('SIGTERM');
    expect(await running.exited).toMatchObject({ exitCode: 0 });
    expect(await sold('shade')).toBe(1);
  });

  test('cache.ts', async () => {
    const running = startCli(['cache.ts'], settings());
    await until('it has begun', async () => {
      await publish(database, { item: 'lamp', cents: 100 }, { channel: 'prices' });
      return running.stdout.includes('lamp: 100') || running.stderr;
    });
  });
});

async function sold(item: string): Promise<number> {
  const { rowCount } = await database.query('select from sold where item = $1', [item]);
  return rowCount ?? 0;
}
