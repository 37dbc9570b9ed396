import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';

const database = useDatabase();

async function notify(args: string[], input?: string | Buffer) {
  const env = { DATABASE_URL: database.url };
  const result = await runMain(['notify', ...args], input === undefined ? { env } : { env, input });
  return { ...result, stderr: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '') };
}

async function published(channel: string): Promise<{ id: number; payload: unknown }[]> {
  const { rows } = await database.query(
    'select id::float8, payload from pgwatch.notification_log where channel = $1 order by id',
    [channel],
  );
  return rows;
}

test.each([
  [
    ['orders', '{a: 1}'],
    /^error The payload is not JSON: \{a: 1\} \(.*\)\. In a shell, quote it: '\{"id": 1\}'\.\n$/,
  ],
  [['orders', 'x'.repeat(1000)], /^error The payload is not JSON: x{60}… \(/],
  [
    ['orders', '"\\u0000"'],
    /^error The payload cannot be stored: jsonb cannot hold the character \\u0000\.\n$/,
  ],
  [
    ['orders', '"\\ud800"'],
    /^error The payload cannot be stored: it holds half of a surrogate pair/,
  ],
  [['orders', '{}', '--event-id', '42'], /^error An event id is a uuid, not "42"\.\n$/],
  [['', '{}'], /^error A channel is a name of 1 to 63 bytes, not an empty one\.\n$/],
  [
    ['é'.repeat(32), '{}'],
    /^error A channel is a name of 1 to 63 bytes, not one of 64 bytes: é{20}\.\.\.\.\n$/,
  ],
])('%j is refused in one sentence, and nothing is published', async (args, message) => {
  const { exitCode, stdout, stderr } = await notify(args);
  expect(stderr).toMatch(message);
  expect([exitCode, stdout]).toEqual([/stored/.test(stderr) ? 1 : 2, '']);
  expect(await published(args[0] as string)).toEqual([]);
});

test('an event id with different content is refused', async () => {
  const args = ['taken', '--event-id', randomUUID()];
  const first = await notify([...args, '1']);
  expect(await notify([...args, '1'])).toEqual(first);
  const { exitCode, stderr } = await notify([...args, '2']);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^error Event \S+ has already been published with a different channel, key or payload\.\n$/,
  );
  expect(await notify(['taken', '-', '--event-id', randomUUID()], '1')).toMatchObject({
    exitCode: 2,
    stderr: 'error --event-id names one notification and cannot be combined with "-".\n',
  });
});

test('if a line is wrong, exactly the lines with printed ids are published', async () => {
  const lines = Array.from({ length: 2500 }, (_, index) => JSON.stringify(index));
  lines[2100] = '{"a":';
  const { exitCode, stdout, stderr } = await notify(['lines', '-'], `\n${lines.join('\n')}\n`);
  expect(exitCode).toBe(1);
  // Line 1 is empty, and skipped.
  expect(stderr).toMatch(
    /^error Line 2102 of stdin is not JSON: \{"a": \(Unexpected end of JSON input\)\.\n$/,
  );
  const printed = stdout.trim().split('\n').map(Number);
  const stored = await published('lines');
  expect(printed).toHaveLength(2000);
  expect(stored.map(({ id }) => id)).toEqual(printed);
  expect(stored.map(({ payload }) => payload)).toEqual(printed.map((_, index) => index));
});

test('a transaction with a line that cannot be stored publishes nothing', async () => {
  const { exitCode, stdout, stderr } = await notify(['partly', '-'], '1\n"\\u0000"\n3\n');
  expect(stderr).toContain('jsonb cannot hold the character \\u0000');
  expect([exitCode, stdout]).toEqual([1, '']);
  expect(await published('partly')).toEqual([]);
});

test('no lines mean nothing to publish, and no error', async () => {
  expect(await notify(['none', '-'], '\n\n')).toEqual({ exitCode: 0, stdout: '', stderr: '' });
});

test('lines must be UTF-8, with any line ending, with or without a byte order mark', async () => {
  const latin = Buffer.from('1\n{"name": "M\xfcller"}\n', 'latin1');
  expect(await notify(['latin', '-'], latin)).toEqual({
    exitCode: 1,
    stdout: '',
    stderr:
      'error The text on stdin is not UTF-8: convert it first, for example with ' +
      '"iconv -f latin1 -t utf-8".\n',
  });
  const cut = Buffer.from('"é"').subarray(0, 2);
  expect((await notify(['latin', '-'], cut)).stderr).toContain('is not UTF-8');
  expect(await published('latin')).toEqual([]);
  expect(await notify(['marked', '-'], '\ufeff"é"\r\n2')).toMatchObject({ exitCode: 0 });
  expect((await published('marked')).map(({ payload }) => payload)).toEqual(['é', 2]);
});
