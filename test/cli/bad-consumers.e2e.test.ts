import { expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { makeProject, printingConsumer } from '../helpers/project.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase();

/** Runs listen on files that it must refuse, and returns its message. */
async function refused(
  files: Record<string, string>,
  args: string[] = [],
  exitCode = 1,
): Promise<string> {
  const cwd = makeProject(files);
  const env = { DATABASE_URL: database.url };
  const result = await runCli(['listen', ...args], { cwd, env });
  expect(result.exitCode).toBe(exitCode);
  expect(result.stdout).toBe('');
  expect(result.stderr).not.toMatch(/\n\s+at /);
  return result.stderr.replaceAll(/^\d\d:\d\d:\d\d error /gm, '').trim();
}

const rest = 'channels: ["a"], handle() {}';

const FAULTS: [what: string, file: string, content: string, message: string | RegExp][] = [
  [
    'throws',
    'throws.ts',
    '\nconst n: number = 1;\nthrow new Error("no API key");',
    ':3: no API key.',
  ],
  ['throws a value that is not an error', 'odd.mjs', 'throw null;', ': it threw null.'],
  [
    'fails during its import',
    'fails.ts',
    'nothing.here;\n',
    ':1: ReferenceError: nothing is not defined.',
  ],
  [
    'has a syntax error',
    'wrong.ts',
    'export default {\n  id: "x"\n  y }',
    /:3: SyntaxError: .+\.$/,
  ],
  [
    'has a syntax error in JavaScript',
    'wrong.mjs',
    'export default {\n  id: "x"\n  y }',
    ":3: SyntaxError: Unexpected identifier 'y'.",
  ],
  [
    'has TypeScript that must be compiled',
    'enum.ts',
    'enum A { B }',
    ':1: SyntaxError: TypeScript enum is not supported in strip-only mode; Node.js runs ' +
      'TypeScript by stripping the types, which does not work for enums, namespaces and ' +
      'parameter properties: use others, or install tsx and set NODE_OPTIONS="--import tsx".',
  ],
  [
    'imports a missing file',
    'import.ts',
    'import "./gone.ts";',
    /: Cannot find module '\S+gone\.ts' imported from \S+import\.ts\.$/,
  ],
  [
    'imports a .js file whose source is a .ts file',
    'compiled.ts',
    'import "./compiled.js";',
    /: Cannot find module .*; there is compiled\.ts: import that, or install tsx and set NODE_/,
  ],
  [
    'imports by a path of tsconfig.json',
    'alias.ts',
    'import "@/db.ts";',
    /: Cannot find package '@\/db\.ts' .*: use "imports" in package\.json, .*, or install tsx/,
  ],
  [
    'exports nothing',
    'none.ts',
    'export const a = 1;',
    ': it has no default export made by defineConsumer({ … }). If it is not a consumer, start ' +
      'its name with "_".',
  ],
  [
    'has a mistyped option',
    'typo.ts',
    'export default { channel: ["a"], handle() {} };',
    ': it has an unknown option "channel". Did you mean "channels"?',
  ],
  [
    'has no channels',
    'channels.ts',
    'export default { handle() {} };',
    ": channels must be a list of at least one channel, like ['orders'].",
  ],
  [
    'has a channel of 64 bytes',
    'long.ts',
    `export default { channels: ["${'é'.repeat(32)}"], handle() {} };`,
    `: a channel must be a name of 1 to 63 bytes, not '${'é'.repeat(32)}'.`,
  ],
  [
    'has an id with spaces',
    'id.ts',
    `export default { id: 'a b', ${rest} };`,
    `: id must be 1 to 100 letters, digits, ".", ":", "_" or "-", not 'a b'.`,
  ],
  [
    'begins at an invalid time',
    'from.ts',
    `export default { from: 'soon', ${rest} };`,
    ": from must be 'start', 'now', a notification's id, or a time, not 'soon'.",
  ],
  [
    'has no handler',
    'idle.ts',
    'export default { channels: ["a"] };',
    ': it needs a function handle or handleBatch, but not both.',
  ],
];

test.each(some(FAULTS))(
  'a consumer file that %s is named with its line, and no consumer starts',
  async (_, name, content, message) => {
    const said = await refused({
      'consumers/fine.ts': printingConsumer('fine', ['orders']),
      [`consumers/${name}`]: content,
    });
    const [first, second, ...more] = said.split('\n');
    expect(first).toBe('A consumer file could not be loaded; no consumer was started:');
    expect(second?.startsWith(`    consumers/${name}:`)).toBe(true);
    if (typeof message === 'string') expect(second).toBe(`    consumers/${name}${message}`);
    else expect(second).toMatch(message);
    expect(more).toEqual([]);
    const { rows } = await database.query('select from pgwatch.consumer_progress');
    expect(rows).toEqual([]);
  },
);

test('an error in a file that a consumer imports is reported with that file', async () => {
  const said = await refused({
    'consumers/outer.ts': `import './_lib/inner.ts';\nexport default { ${rest} };`,
    'consumers/_lib/inner.ts': '\n\nthrow new TypeError("inner");',
  });
  expect(said).toContain('  consumers/outer.ts: TypeError: inner (in consumers/_lib/inner.ts:3).');
});

test('all faults are reported at once', async () => {
  const said = await refused({
    'consumers/a.ts': 'throw new Error("one")',
    'consumers/app/b.ts': 'throw new Error("two")',
  });
  expect(said).toBe(`2 consumer files could not be loaded; no consumer was started:
    consumers/a.ts:1: one.
    consumers/app/b.ts:1: two.`);
});

test('two consumers with one id are refused', async () => {
  const said = await refused({
    'consumers/email.ts': printingConsumer('email', ['a']),
    'consumers/app/other.ts': printingConsumer('email', ['b']),
  });
  expect(said).toContain(
    '  consumers/app/other.ts and consumers/email.ts have the same id "email": each consumer ' +
      'needs its own.',
  );
});

test('an unknown consumer or app is refused, with a list of those that exist', async () => {
  const files = {
    'consumers/email.ts': printingConsumer('email', ['a']),
    'consumers/billing/invoice.ts': printingConsumer('invoice', ['a']),
  };
  expect(await refused(files, ['--consumers', 'emial', 'invoice'], 2)).toBe(
    'There is no consumer "emial". Did you mean "email"? There are: email, invoice.',
  );
  expect(await refused(files, ['--exclude-consumers', 'zzz'], 2)).toBe(
    'There is no consumer "zzz". There are: email, invoice.',
  );
  expect(await refused(files, ['--apps', 'biling'], 2)).toBe(
    'There is no app "biling". Did you mean "billing"? There are: billing.',
  );
  expect(
    await refused({ 'consumers/a.ts': printingConsumer('a', ['a']) }, ['--apps', 'x'], 2),
  ).toBe('There is no app "x". There are no apps.');
});

test('without a consumers folder listen says where one is expected', async () => {
  expect(await refused({})).toMatch(
    /^There is no folder \S+\/consumers\. Put .* there, or set the option "consumers" .*\.$/,
  );
});
