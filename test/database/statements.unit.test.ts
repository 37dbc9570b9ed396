import { expect, test } from 'vitest';
import { bareWords, isCopyFromClient } from '../../src/database/statements.ts';

test.each([
  ['; ;commit', 'commit'],
  ['-- one\n-- two\rcommit', 'commit'],
  ['/* a /* b /* c */ */ */ commit', 'commit'],
  ["select '-- no comment', 1", 'select  , 1'],
  ['select "/*", 1', 'select x, 1'],
  ['commit /* without an end', 'commit '],
  ['', ''],
])('the words of %j are %j', (sql, words) => {
  expect(bareWords(sql).replaceAll(/ +/g, ' ')).toBe(words.replaceAll(/ +/g, ' '));
});

test.each([
  'copy t from stdin',
  'COPY t(a, "b(") FROM\nSTDIN with (format csv)',
  'copy "from stdin" from stdin',
  'copy binary t from stdin',
  'copy t from stdout',
  ';/* /* x */ */copy/**/s.t/* " */from-- it\'s\nstdin',
])('%j reads from the client', (sql) => {
  expect(isCopyFromClient(sql)).toBe(true);
});

test.each([
  'copy t to stdout',
  'copy (select * from stdin) to stdout',
  "copy t from '/tmp/stdin'",
  "copy t from program 'cat stdin'",
  'select copy from stdin',
  'copying t from stdin',
  'copy t from stdinput',
  'copy "t from stdin" to stdout',
])('%j does not read from the client', (sql) => {
  expect(isCopyFromClient(sql)).toBe(false);
});
