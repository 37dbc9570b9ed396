import { expect, test } from 'vitest';
import { fromSqlError } from '../../src/database/sqlstate.ts';
import { PgwatchError } from '../../src/errors.ts';

test('a read-only server is reported as such', () => {
  const refused = Object.assign(new Error('cannot execute UPDATE in a read-only transaction'), {
    code: '25006',
  });
  expect(fromSqlError(refused)).toMatchObject({
    code: 'server_unsuitable',
    message: expect.stringMatching(/^The server is read-only, like a standby: cannot execute/),
  });
});

const sql = Object.assign(new Error('a full sentence'), { severity: 'ERROR', code: 'PW002' });
const wrap = (properties: object) => Object.assign(new Error('Failed query: …'), properties);

test.each<[string, Error]>([
  ['by nobody', sql],
  ['by Drizzle', wrap({ cause: sql })],
  ['by TypeORM', wrap({ driverError: sql })],
  [
    'by Prisma',
    wrap({
      code: 'P2010',
      meta: {
        driverAdapterError: wrap({
          cause: { originalCode: 'PW002', originalMessage: 'a full sentence', kind: 'postgres' },
        }),
      },
    }),
  ],
  ['several times', wrap({ code: 'P2010', cause: wrap({ cause: wrap({ cause: sql }) }) })],
])('an error that is wrapped %s keeps its code and sentence', (_, thrown) => {
  const { code, message, cause } = fromSqlError(thrown) as PgwatchError;
  expect([code, message, cause]).toEqual(['event_id_taken', 'a full sentence', thrown]);
});

test('what contains no error of the server is returned as it is', () => {
  const circular = wrap({ code: 'P2010' });
  circular.cause = circular;
  const throwing = Object.defineProperty(new Error('odd'), 'cause', {
    get() {
      throw new Error('it cannot be read');
    },
  });
  const own = new PgwatchError('closed', 'It is closed.', { cause: sql });
  for (const thrown of [circular, throwing, own, new Error('no code')]) {
    expect(fromSqlError(thrown)).toBe(thrown);
  }
});
