import { expect, test } from 'vitest';
import { suggest } from '../src/suggest.ts';

test.each([
  ['pollIntervall', 'pollInterval'],
  ['poll-interval', 'pollInterval'],
  ['poll_interval', 'pollInterval'],
  ['POLLINTERVAL', 'pollInterval'],
  ['uri', 'url'],
  ['scehma', 'schema'],
  ['shcema', 'schema'],
  ['chema', 'schema'],
  ['poolsize', 'poolSize'],
])('for %s the suggestion is %s', (name, expected) => {
  const candidates = ['url', 'schema', 'pollInterval', 'poolSize'];
  expect(suggest(name, candidates)).toBe(` Did you mean "${expected}"?`);
});

test.each(['colour', '', 'x', 'retention'])(
  'for %j, which resembles no candidate, there is no suggestion',
  (name) => {
    expect(suggest(name, ['url', 'schema', 'pollInterval'])).toBe('');
    expect(suggest(name, [])).toBe('');
  },
);

test('of several similar names the nearest is suggested', () => {
  expect(suggest('emial2', ['email1', 'email2', 'email3'])).toBe(' Did you mean "email2"?');
});
