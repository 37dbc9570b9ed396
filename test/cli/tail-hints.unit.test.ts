import { expect, test } from 'vitest';
import { followingText, hintsOf, nothingText } from '../../src/cli/tail/hints.ts';
import type { TailOptions } from '../../src/cli/tail/options.ts';
import { requestOf } from '../../src/cli/tail/request.ts';

const of = (options: Partial<TailOptions>, channels: string[] = []) =>
  requestOf(channels, { logFormat: 'text', ...options }, true);

test.each<[Partial<TailOptions>, string[], string]>([
  [{}, [], 'Following all channels from now on; press Ctrl-C to stop.'],
  [{}, ['orders', 'users'], 'Following orders, users from now on; press Ctrl-C to stop.'],
  [
    { from: 'start' },
    ['orders'],
    'Following orders from the start of the log; press Ctrl-C to stop.',
  ],
  [{ from: '7' }, [], 'Following all channels from id 7; press Ctrl-C to stop.'],
  [{ from: '-20' }, [], 'Following all channels from the newest 20; press Ctrl-C to stop.'],
  [
    { table: ['users'], action: ['delete'], key: 'k' },
    [],
    'Following DELETE, all channels, changes of users, key k from now on; press Ctrl-C to stop.',
  ],
])('tail says what %j with the channels %j follows', (options, channels, expected) => {
  expect(followingText(of(options, channels))).toBe(expected);
});

test('unknown names are reported, with suggestions', () => {
  const known = { channels: ['orders'], tables: [{ schema: 'app', name: 'users' }] };
  const hints = (options: Partial<TailOptions>, channels: string[] = []) =>
    hintsOf(of(options, channels).filter, known);
  expect(hints({ table: ['users', 'app.users'] }, ['orders', 'consumer:email'])).toEqual([]);
  expect(hints({ table: ['userz', 'public.users'] }, ['ordres'])).toEqual([
    'No consumer reads the channel "ordres", and none of the newest 10,000 notifications ' +
      'are on it. Did you mean "orders"?',
    'There is no table "userz", and none of the newest 10,000 notifications are about it. ' +
      'Did you mean "users"?',
    'There is no table "public.users", and none of the newest 10,000 notifications are about it.',
  ]);
});

test('if nothing is shown tail says so, and how to see more if it read only the newest', () => {
  expect(nothingText(of({ from: '9', until: '3' }), true)).toBe('No notification matches.');
  expect(nothingText(of({ until: '3' }), false)).toMatch(/Only the newest 10 were read; .*--since/);
});
