import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CommitWatch } from './network/messages.ts';

/** How many commits are seen if these messages are sent in pieces cut anywhere. */
function countCommits(messages: readonly Buffer[], cuts: readonly number[] = []): number {
  const watch = new CommitWatch();
  const stream = Buffer.concat([message('', Buffer.from('start')), ...messages]);
  const places = [
    0,
    ...cuts.map((cut) => cut % stream.length).sort((a, b) => a - b),
    stream.length,
  ];
  return places.slice(1).filter((end, index) => watch.sent(stream.subarray(places[index], end)))
    .length;
}

function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

const text = (...parts: string[]) => Buffer.from(`${parts.join('\0')}\0`);
const query = (sql: string) => message('Q', text(sql));
const extended = (sql: string) => [
  message('P', text('name', sql)),
  message('B', text('', 'name')),
  message('E', text('')),
  message('S', Buffer.alloc(0)),
];

test('a commit is seen however the stream is cut', () => {
  const messages = [query('begin'), query('select 1'), query('COMMIT'), ...extended('select 2')];
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 20 }), (cuts) => {
      expect(countCommits(messages, cuts)).toBe(1);
    }),
  );
});

test('a writing statement outside a transaction is a commit', () => {
  expect(countCommits(extended('update t set a = 1'))).toBe(1);
  expect(countCommits(extended('select * from updates'))).toBe(0);
});

test('a writing statement in a transaction is not a commit', () => {
  const watch = new CommitWatch();
  watch.sent(message('', Buffer.from('start')));
  watch.answered(message('Z', Buffer.from('T')));
  expect(watch.sent(Buffer.concat(extended('insert into t values (1)')))).toBe(false);
  watch.answered(message('Z', Buffer.from('I')));
  expect(watch.sent(Buffer.concat(extended('insert into t values (1)')))).toBe(true);
});
