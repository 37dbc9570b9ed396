import { expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { runMain } from '../helpers/main.ts';
import { makeProject, printingConsumer } from '../helpers/project.ts';
import { some } from '../helpers/whole.ts';

const consumer = { 'consumers/ok.ts': printingConsumer('ok', ['orders']) };

async function refused(files: Record<string, string>, args: string[] = [], env = {}) {
  const cwd = makeProject({ ...consumer, ...files });
  const result = await runCli(['listen', '--list-consumers', ...args], { cwd, env });
  const isFlag = args.length > 0;
  expect(result.exitCode).toBe(isFlag ? 2 : 1);
  expect(result.stdout).toBe('');
  return result.stderr.replaceAll(/^\d\d:\d\d:\d\d error /gm, '').trim();
}

const ts = (content: string) => ({ 'pgwatch.config.ts': content });
const unusable = 'The config file cannot be used: ';

test.each(
  some([
    [
      'a mistyped option',
      ts('export default { pollIntervall: 5 }'),
      /^pgwatch\.config\.ts: pollIntervall is not .* "pollInterval"\? Options are: url, .*\.$/,
    ],
    [
      'a wrong duration',
      ts('export default { pollInterval: "5 seconds" }'),
      "pgwatch.config.ts: pollInterval must be a duration like '5s', " +
        "at least 10 ms and at most 24 days, not '5 seconds'.",
    ],
    [
      'a wrong number',
      ts('export default { maxBatchSize: 0 }'),
      'pgwatch.config.ts: maxBatchSize must be a whole number from 1 to 10000, not 0.',
    ],
    [
      'a wrong choice',
      ts('export default { partition: "week" }'),
      `pgwatch.config.ts: partition must be 'day' or 'hour', not 'week'.`,
    ],
    [
      'wrong roles',
      ts('export default { roles: { writers: ["a"] } }'),
      'pgwatch.config.ts: roles must be an object with lists of role names (not public): ' +
        'publish, consume, read, capture, not {"writers":["a"]}.',
    ],
    [
      'a schema with a reserved prefix',
      ts('export default { schema: "pg_watch" }'),
      'pgwatch.config.ts: schema must be a name of 1 to 63 bytes that neither begins with' +
        ` "pg_" nor contains "$$", not 'pg_watch'.`,
    ],
    [
      'a syntax error',
      ts('export default {\n  a b\n};'),
      /^The config file cannot be used: pgwatch\.config\.ts:2: SyntaxError: .+\.$/,
    ],
    [
      'a syntax error in JavaScript',
      { 'pgwatch.config.mjs': 'export default {\n  a b\n};' },
      `${unusable}pgwatch.config.mjs:2: SyntaxError: Unexpected identifier 'b'.`,
    ],
    [
      'a syntax error in JSON',
      { 'pgwatch.config.json': '{ "url": }' },
      new RegExp(
        /^The config file cannot be used: pgwatch\.config\.json: SyntaxError: /.source +
          /Unexpected token '}', .* is not valid JSON\.$/.source,
      ),
    ],
    [
      'a syntax error in YAML',
      { '.pgwatchrc': 'a: b: c' },
      /^The config file cannot be used: \.pgwatchrc: YAMLException: .*\(1:5\)\.$/,
    ],
    [
      'an error of its own',
      ts('\nthrow new Error("no secrets file");'),
      `${unusable}pgwatch.config.ts:2: no secrets file.`,
    ],
    [
      'no default export',
      ts('export const config = {};'),
      `${unusable}pgwatch.config.ts: it does not export an object of options; in TypeScript: ` +
        'export default defineConfig({ … }).',
    ],
    [
      'a list as default export',
      ts('export default [];'),
      `${unusable}pgwatch.config.ts: it does not export an object of options; in TypeScript: ` +
        'export default defineConfig({ … }).',
    ],
    [
      'a wrong entry in package.json',
      { 'package.json': '{ "type": "module", "pgwatch": 5 }' },
      `${unusable}package.json: it does not export an object of options; in TypeScript: ` +
        'export default defineConfig({ … }).',
    ],
  ]),
)(
  'a config file with %s is refused, with the file, the place and what to do',
  async (_, files, message) => {
    const said = await refused(files as Record<string, string>);
    if (typeof message === 'string') expect(said).toBe(message);
    else expect(said).toMatch(message);
  },
);

test('a missing config file is refused', async () => {
  expect(await refused({}, ['--config', 'other.ts'])).toMatch(
    /^The config file cannot be used: there is no file \S+\/other\.ts\.$/,
  );
});

test('a wrong flag or variable is named as it was given', async () => {
  expect(await refused({}, ['--max-batch-size', 'many'])).toBe(
    `--max-batch-size must be a whole number from 1 to 10000, not 'many'.`,
  );
  expect(await refused({}, [], { PGWATCH_POOL_SIZE: '1' })).toBe(
    `PGWATCH_POOL_SIZE must be a whole number from 2 to 1000, not '1'.`,
  );
});

test('wrong usage exits with 2 and a suggestion', async () => {
  for (const [args, said] of [
    [['listne'], "error: unknown command 'listne'\n(Did you mean listen?)"],
    [['help', 'statsu'], `error: unknown command 'statsu'. Did you mean "status"?\n(see --help)`],
    [['statsu', '--help'], `error: unknown command 'statsu'. Did you mean "status"?`],
    [['dlq', 'lst', '-h'], `error: unknown command 'lst'. Did you mean "list"?`],
    [['start', '--help'], "error: unknown command 'start'."],
    [
      ['listen', '--consumer', 'a'],
      "error: unknown option '--consumer'\n(Did you mean --consumers?)",
    ],
    [
      ['listen', '--timeout', 'x'],
      "argument 'x' is invalid. Give a number of seconds, from 0.01, without a unit.",
    ],
    [['notify', 'c', '{email:', 'x}'], 'the shell passed 2. In a shell, quote it'],
    [['notify'], "error: missing required argument 'channel'"],
  ] as const) {
    const { exitCode, stdout, stderr } = await runMain(args);
    expect(stderr).toContain(said);
    expect([exitCode, stdout]).toEqual([2, '']);
  }
});
