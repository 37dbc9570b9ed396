import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { makeProgram } from '../src/cli/program.ts';
import { OPTION_NAMES } from '../src/config/check.ts';
import { notify } from '../src/log/publish.ts';
import { runCli, startCli } from './helpers/cli.ts';
import { useDatabase } from './helpers/database.ts';
import { addConsumers, addDelivery } from './helpers/deliveries.ts';
import { makeProject } from './helpers/project.ts';

/*
Goal: what the README and the reference pages show works as it is shown.
Method: their code blocks are taken from them and run, in their order.
*/

const database = useDatabase();
const root = fileURLToPath(new URL('..', import.meta.url));
const readme = ['README.md', 'docs/consumers.md', 'docs/configuration.md']
  .map((page) => readFileSync(join(root, page), 'utf8'))
  .join('\n');

/** The code blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, text = '']) => text,
  );
}

test('the first five minutes of the README work', async () => {
  const consumers = blocks('ts').filter((text) => text.startsWith('// consumers/'));
  const files = Object.fromEntries(
    consumers.map((text) => [/^\/\/ (\S+)/.exec(text)?.[1] ?? '', text]),
  );
  expect(Object.keys(files)).toEqual([
    'consumers/welcome-email.ts',
    'consumers/search-index.ts',
    'consumers/invoice.ts',
  ]);
  const cwd = makeProject(files);
  mkdirSync(join(cwd, 'node_modules'));
  symlinkSync(root, join(cwd, 'node_modules/pgwatch'));
  const env = { DATABASE_URL: database.url };

  const [publish = ''] = blocks('sql');
  await database.query(publish);
  const shell = /npx pgwatch (notify signup) '(.*)'/.exec(readme);
  expect(
    (await runCli([...(shell?.[1] ?? '').split(' '), shell?.[2] ?? ''], { cwd, env })).exitCode,
  ).toBe(0);
  await notify(database.pool, 'signup', { email: 'alan@example.com' }, { key: 'user:3' });
  await database.query(/-c '(create table users .*)'/.exec(readme)?.[1] ?? '');
  expect((await runCli(['trigger', 'add', 'users'], { cwd, env })).exitCode).toBe(0);
  await database.query(`insert into users values (1, 'ada@example.com'); delete from users`);

  await database.query('create table invoice (event_id uuid, customer int, cents int)');
  await notify(database.pool, 'order_paid', { customer: 7, cents: 1200 });

  const { stderr, exitCode } = await runCli(['listen', '--once'], { cwd, env });
  expect(exitCode).toBe(0);
  for (const line of [
    'welcome-email: welcome, ada@example.com',
    'welcome-email: welcome, grace@example.com',
    'welcome-email: welcome, alan@example.com',
    'search-index: index public.users:1: ada@example.com',
    'search-index: remove public.users:1',
  ]) {
    expect(stderr).toContain(line);
  }
  const { rows } = await database.query('select customer, cents from invoice');
  expect(rows).toEqual([{ customer: 7, cents: 1200 }]);

  const service = blocks('ts').find((text) => text.includes('createPgwatch'));
  writeFileSync(join(cwd, 'service.ts'), service ?? '');
  const running = startCli(['service.ts'], { cwd, env, command: [process.execPath] });
  await running.waitFor('add alan@example.com');
  running.signal('SIGTERM');
  const added = ['ada', 'grace', 'alan'].map((name) => `add ${name}@example.com\n`);
  expect(await running.exited).toMatchObject({ exitCode: 0, stdout: added.join('') });
});

test('the commands for dead letters work', async () => {
  await addConsumers(database, ['welcome-email']);
  const error = { name: 'TimeoutError', message: 'too slow' };
  const id = await addDelivery(database, { consumerId: 'welcome-email', error });
  const old = { consumerId: 'welcome-email', failedAgoMs: 40 * 86_400_000 };
  await addDelivery(database, old);
  const block = blocks('sh').find((text) => text.includes('pgwatch dlq')) ?? '';
  const said: string[] = [];
  for (const [, args = ''] of block.matchAll(/^npx pgwatch (.*?)(?: +#.*)?$/gm)) {
    const { exitCode, stderr } = await runCli(args.replace('42', String(id)).split(' '), {
      env: { DATABASE_URL: database.url },
    });
    expect(exitCode).toBe(0);
    said.push(stderr.slice('00:00:00 '.length).trim());
  }
  expect(said).toEqual([
    '',
    '',
    'Would retry 1 dead letter: welcome-email 1.',
    'Retrying 1 dead letter: welcome-email 1.',
    'Discarded 1 dead letter: welcome-email 1.',
  ]);
});

test('the README names every command, every flag of listen and every option', () => {
  const program = makeProgram({ exitCode: 0 });
  const common = ['--database-url', '--config', '--log-format', '--verbose'];
  for (const command of program.commands) expect(readme).toContain(`pgwatch ${command.name()}`);
  const listen = program.commands.find((command) => command.name() === 'listen');
  for (const flag of [...common, ...(listen?.options ?? []).map(({ long }) => long ?? '')]) {
    expect(readme).toContain(`\`${flag}`);
  }
  for (const option of OPTION_NAMES) expect(readme).toContain(`\`${option}\``);
});

test('the help of every command has examples and fits 80 columns', () => {
  const explain = (command: ReturnType<typeof makeProgram>): string[] => {
    const written: string[] = [];
    command.configureOutput({ writeOut: (text) => written.push(text), getOutHelpWidth: () => 80 });
    command.outputHelp();
    const help = written.join('');
    const isTooWide = help.split('\n').some((line) => line.length > 80);
    const hasExamples = /(Examples|First steps):\n {2}\$ /.test(help);
    const own = hasExamples && !isTooWide ? [] : [command.name()];
    return [...own, ...command.commands.flatMap(explain)];
  };
  expect(explain(makeProgram({ exitCode: 0 }))).toEqual([]);
});

test('what the pages tell people to run exists, with every flag', () => {
  const files = ['capture', 'guarantees', 'operating', 'publishing'].map((n) => `docs/${n}.md`);
  const pages = [readme, ...files.map((file) => readFileSync(join(root, file), 'utf8'))].join('\n');
  const commands = [...pages.matchAll(/^npx pgwatch ([^#\n>]*)/gm)];
  expect(commands.length).toBeGreaterThan(40);
  for (const [, line = ''] of commands) {
    let command: ReturnType<typeof makeProgram> = makeProgram({ exitCode: 0 });
    for (const word of line.trim().split(/\s+/)) {
      const next = command.commands.find((each) => each.name() === word);
      if (!next) break;
      command = next;
    }
    const flags = command.options.flatMap(({ long, negate }) => (negate ? [] : (long ?? [])));
    expect([line, command.name()]).not.toEqual([line, 'pgwatch']);
    for (const [flag] of line.matchAll(/--[\w-]+/g))
      expect([line, flags]).toEqual([line, expect.arrayContaining([flag])]);
  }
});
