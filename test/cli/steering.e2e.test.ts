import { beforeAll, expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';

/*
Goal: no foreign text can control the terminal that shows it, or begin a line that looks like ours.
Method: a corpus of control sequences and line breaks in everything that others write: channels,
keys, payloads, errors, columns and values of a table. Each command shows them as text, and as JSON.
*/

const database = useDatabase();

const CORPUS = [
  '\u001b[2J\u001b[H',
  '\u001b[31m',
  '\u001b]8;;https://evil.example\u001b\\',
  '\u001b]52;c;ZXZpbA==\u0007',
  '\u001b]0;title\u0007',
  '\u009b2J',
  '\u0090q\u009c',
  '\r',
  '\n',
  '\r\n',
  '\u0085',
  '\v',
  '\f',
  '\u2028',
  '\u2029',
  '\u0007',
  '\b\b\b\b',
  '\u007f',
  '\u202e',
  '\u2066',
];
const TEXT = CORPUS.map((each) => `a${each}FORGED`).join('');
/** A channel has at most 63 bytes: the worst of them. */
const CHANNEL = `c\u001b]52;c;ZQ==\u0007\rFORGED\nFORGED\u2028FORGED\u009bJ`;
let id: number;

beforeAll(async () => {
  const { rows } = await database.query(
    `insert into pgwatch.notification_log (xid, channel, key, payload)
     values (pg_current_xact_id(), $1, $2, $3) returning id::int`,
    [CHANNEL, TEXT, JSON.stringify({ [TEXT]: [TEXT] })],
  );
  id = rows[0].id;
  await addConsumers(database, ['c']);
  await database.query('update pgwatch.consumer_progress set channels = $1', [[CHANNEL]]);
  const error = { name: TEXT, message: TEXT, code: TEXT, stack: `${TEXT}\n    at ${TEXT}` };
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, key, attempts,
       first_failed_at, last_failed_at, first_error, last_error, notification, payload)
     select 'c', log.id, 'dead', log.key, 5, now(), now(), $1, $1,
       pgwatch.delivery_notification(log), log.payload
     from pgwatch.notification_log as log`,
    [error],
  );
  await database.query(`create table words (id int primary key, "b\u001b[2J\nFORGED" text)`);
  await database.query(`create trigger t after insert or update on words for each row
    execute function notify_data_change('words')`);
  await database.query('insert into words values (1, $1)', [TEXT]);
  await database.query(`update words set "b\u001b[2J\nFORGED" = $1`, [`new\n${TEXT}`]);
});

test.each([
  ['tail', ['tail', '--from', 'start', '--no-json']],
  ['tail --full', ['tail', '--from', 'start', '--no-json', '--full']],
  ['show', ['show', 'ID']],
  ['why', ['why', 'ID']],
  ['status', ['status']],
  ['consumers show', ['consumers', 'show', 'c']],
  ['dlq list', ['dlq', 'list']],
  ['dlq show', ['dlq', 'show', 'ID']],
  ['history', ['history', 'words', '1']],
  ['history --diff', ['history', 'words', '1', '--diff']],
])('%s shows them as harmless text', async (_, args) => {
  const { stdout, stderr } = await runMain(
    args.map((arg) => (arg === 'ID' ? String(id) : arg)),
    { env: { DATABASE_URL: database.url, NO_COLOR: '1' } },
  );
  expect(stdout).toContain('FORGED');
  for (const text of [stdout, stderr]) {
    expect(text.match(/[^\P{Cc}\n\t]|[\u2028-\u202e\u2066-\u2069]/gu)).toBe(null);
    // Below our own lines, or on them.
    expect(text.match(/^ {0,3}FORGED.*/gm)).toBe(null);
  }
});

test('as JSON they are unchanged', async () => {
  const json = async (...args: string[]) => {
    const { stdout } = await runMain([...args, '--json'], { env: { DATABASE_URL: database.url } });
    return JSON.parse(stdout);
  };
  const shown = JSON.stringify(await json('show', String(id)));
  for (const text of [CHANNEL, TEXT]) expect(shown).toContain(JSON.stringify(text).slice(1, -1));
  const [dead] = await json('dlq', 'list');
  expect([dead.channel, dead.key, dead.lastError.message]).toEqual([CHANNEL, TEXT, TEXT]);
});
