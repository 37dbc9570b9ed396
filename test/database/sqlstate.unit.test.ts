import { expect, test } from 'vitest';
import { fromSqlError } from '../../src/database/sqlstate.ts';

test('a read-only server is reported as such', () => {
  const refused = Object.assign(new Error('cannot execute UPDATE in a read-only transaction'), {
    code: '25006',
  });
  expect(fromSqlError(refused)).toMatchObject({
    code: 'server_unsuitable',
    message: expect.stringMatching(/^The server is read-only, like a standby: cannot execute/),
  });
});
