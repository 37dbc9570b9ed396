import { expect, test } from 'vitest';
import { checkConsumer } from '../../src/consumers/check.ts';
import { type Selection, selectConsumers } from '../../src/consumers/select.ts';

const consumers = ['/c/email.ts', '/c/audit.ts', '/c/billing/invoice.ts', '/c/billing/tax.ts'].map(
  (file) => checkConsumer({ channels: ['a'], handle() {} }, file, '/c'),
);

test.each<[Selection, string[]]>([
  [{}, ['email', 'audit', 'invoice', 'tax']],
  [{ ids: ['tax', 'email'] }, ['email', 'tax']],
  [{ ids: [] }, []],
  [{ excludedIds: ['email'] }, ['audit', 'invoice', 'tax']],
  [{ apps: ['billing'] }, ['invoice', 'tax']],
  [{ apps: ['billing'], excludedIds: ['tax'] }, ['invoice']],
  [{ ids: ['email', 'tax'], excludedIds: ['tax'] }, ['email']],
  [{ ids: ['email'], apps: ['billing'] }, []],
])('%j selects %j', (selection, expected) => {
  expect(selectConsumers(consumers, selection).map(({ id }) => id)).toEqual(expected);
});

test('an unknown name is refused in both lists', () => {
  for (const selection of [{ ids: ['emial'] }, { excludedIds: ['emial'] }]) {
    expect(() => selectConsumers(consumers, selection)).toThrow(
      'There is no consumer "emial". Did you mean "email"? There are: email, audit, invoice, tax.',
    );
  }
  expect(() => selectConsumers([], { ids: ['email'] })).toThrow(
    'There is no consumer "email". There are no consumers.',
  );
});
