import { expect, test } from 'vitest';
import { fullText, jsonLine, lineFormat } from '../../src/cli/tail/line.ts';
import type { TailOptions } from '../../src/cli/tail/options.ts';
import { requestOf } from '../../src/cli/tail/request.ts';
import { Where } from '../../src/cli/tail/where.ts';
import { LogNotification, type LogRow } from '../../src/log/notification.ts';

const of = (
  options: Partial<TailOptions>,
  { channels = [] as string[], isTerminal = false } = {},
) => requestOf(channels, { logFormat: 'text', ...options }, isTerminal);

test.each<[Partial<TailOptions>, boolean, { from: unknown; isFollowing: boolean }]>([
  [{}, true, { from: 'now', isFollowing: true }],
  [{}, false, { from: 'now', isFollowing: true }],
  [{ from: '-20' }, true, { from: { last: 20 }, isFollowing: true }],
  [{ from: '-20' }, false, { from: { last: 20 }, isFollowing: false }],
  [{ from: '-20', follow: true }, false, { from: { last: 20 }, isFollowing: true }],
  [{ from: '7' }, true, { from: { id: 7 }, isFollowing: true }],
  [{ from: 'start', until: '9' }, true, { from: 'start', isFollowing: false }],
  [{ follow: false }, true, { from: { last: 10 }, isFollowing: false }],
])('%j, on a terminal %j, is %j', (options, isTerminal, expected) => {
  expect(of(options, { isTerminal })).toMatchObject(expected);
});

test('filters are parsed', () => {
  const { filter } = of(
    { table: ['users,app."x.y"'], action: ['insert', 'Update'], key: 'k' },
    { channels: ['a', 'b'] },
  );
  expect(filter).toEqual({
    channels: ['a', 'b'],
    key: 'k',
    actions: ['INSERT', 'UPDATE'],
    tables: [
      { schema: null, name: 'users' },
      { schema: 'app', name: 'x.y' },
    ],
  });
});

test.each<[Partial<TailOptions>, string]>([
  [{ from: 'begin' }, '--from takes an id, "start", or a number like -20'],
  [{ until: 'soon' }, '--until takes an id, an age like 2h'],
  [{ action: ['UPDTE'] }, '"UPDTE" is not an action. Did you mean "UPDATE"?'],
  [{ table: [''] }, 'The list of tables is empty'],
])('%j is refused', (options, message) => {
  expect(() => of(options)).toThrow(message);
});

/** An update of a row of public.users. */
const ROW: LogRow = [
  '42',
  '700',
  '1700000000500000',
  'data_change',
  'public.users:1',
  null,
  'UPDATE',
  '["public","users","id"]',
  '{"id":1,"name":"日本語"}',
  '{"id":1,"name":"b"}',
  null,
  null,
];
const UPDATE = new LogNotification(ROW, { isReplay: false, attempt: 1 });

test.each([
  ['id === 42 && channel === "data_change"', true],
  ['change.new.name === "b" && action === "UPDATE" && table === "users"', true],
  ['payload.old_data.id === 1 && createdAt > new Date("2023-01-01")', true],
  ['key.startsWith("public.users:")', true],
  ['eventId.length === 36', true],
  ['payload.nothing.deeper', false],
  ['(() => { for (;;); })()', false],
  ['null', false],
])('where %s: %j', (expression, expected) => {
  expect(new Where(expression).matches(UPDATE)).toBe(expected);
});

test('a line fits the terminal, wide characters included, whatever its width', () => {
  expect(lineFormat(80)(UPDATE)).toMatch(
    /^2023-11-1\d {2}42 {2}data_change {2}public\.users:1 {2}UPDATE {2}name: "日本語" → "b"$/,
  );
  expect(lineFormat(64)(UPDATE)).toMatch(/name: "日…$/);
  expect(lineFormat(30)(UPDATE)).toHaveLength(30);
});

test('a marker of removed notifications is shown as GAP', () => {
  const row: LogRow = [...ROW];
  row[5] = '{"removed":3}';
  row[6] = 'GAP';
  row[7] = null;
  const gap = new LogNotification(row, { isReplay: false, attempt: 1 });
  expect(lineFormat(80)(gap)).toMatch(/ {2}GAP {2}\{"removed":3\}$/);
  expect(new Where('action === "GAP" && change === null').matches(gap)).toBe(true);
});

const DEEP = `${'[{"a":'.repeat(6000)}9007199254740993${'}]'.repeat(6000)}`;

test.each<[string, Partial<Record<number, string | null>>]>([
  ['a published payload', { 5: DEEP, 6: null, 7: null, 8: null, 9: null }],
  ['a row', { 8: `{"id": 1, "j": null}`, 9: `{"id": 1, "j": ${DEEP}}` }],
  ['both rows', { 8: `{"id": 1, "j": ${DEEP}}`, 9: `{"id": 1, "j": [${DEEP}]}` }],
])('however deep %s is nested, it is shown as far as possible', (_, columns) => {
  const row = Object.assign([...ROW], columns) as LogRow;
  const deep = () => new LogNotification(row, { isReplay: false, attempt: 1 });
  expect(new Where('JSON.stringify(id) === "42" && payload !== null').matches(deep())).toBe(true);
  expect(lineFormat(80)(deep())).toContain('[{"a":');
  for (const text of [jsonLine(deep()), fullText(deep())]) {
    expect(text).toContain('(too deep to be shown)');
  }
});
