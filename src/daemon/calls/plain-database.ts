import type { PoolClient, QueryConfig } from 'pg';
import type { Database } from '../../consumers/define.ts';
import {
  answering,
  type QueryArguments,
  readQueryArguments,
} from '../../consumers/query-arguments.ts';
import {
  cleanSession,
  isInTransaction,
  mayChangeSession,
  mayPrepare,
} from '../../database/clean-session.ts';
import { destroySocket, isStatementError } from '../../database/connect.ts';
import type { Pool } from '../../database/pool.ts';
import { noteConnection } from '../../database/transaction-scope.ts';
import { PgwatchError } from '../../errors.ts';
import { CallPool } from './call-pool.ts';

/** The call that queries belong to. */
type PlainCall = { readonly givenUp: AbortSignal; noteCut(): void };

/**
 * The context.db of a handler without a transaction: each query runs on any connection of the pool,
 * which is cleaned before it is used again. The handler does not wait for that.
 * @param isOutage whether a query failed because the server or the network was down
 */
export function plainDatabase(
  pool: Pool,
  call: PlainCall,
  isOutage: (thrown: unknown) => Promise<boolean> = async () => false,
): Database {
  const query = (...given: unknown[]) =>
    answering(
      () => readQueryArguments(given),
      async (query) => {
        noteConnection(pool);
        const { resets } = pool;
        try {
          return await run(pool, query, call.givenUp);
        } catch (thrown) {
          if (pool.resets !== resets || (await isOutage(thrown))) call.noteCut();
          throw thrown;
        }
      },
    );
  return new PlainDatabase(query as Database['query']);
}

class PlainDatabase extends CallPool {
  override readonly query: Database['query'];

  constructor(query: Database['query']) {
    super('I');
    this.query = query;
  }
}

async function run(pool: Pool, { config, text }: QueryArguments, stop: AbortSignal) {
  const answer = Promise.withResolvers<unknown>();
  const borrowing = pool.withClient(async (client) => {
    stop.throwIfAborted();
    const cut = () => destroySocket(client);
    stop.addEventListener('abort', cut, { once: true });
    try {
      const { isBorrowed } = pool;
      if (pool.isPooled(client) && !isBorrowed) {
        answer.resolve(await runPooled(client, config, text));
      } else {
        const tell = (result: unknown) => answer.resolve(result);
        await runAndClean(client, config, { text, isBorrowed, tell });
      }
    } finally {
      stop.removeEventListener('abort', cut);
    }
  });
  borrowing.catch((thrown) => answer.reject(thrown));
  return answer.promise;
}

/**
 * @throws the query's error; if cleaning failed, an error that makes the pool drop the connection
 */
async function runAndClean(
  client: PoolClient,
  config: QueryConfig,
  {
    text,
    isBorrowed,
    tell,
  }: { text: string; isBorrowed: boolean; tell: (result: unknown) => void },
): Promise<void> {
  let failure: unknown;
  try {
    const result = await client.query(config);
    if (isInTransaction(client)) failure = transactionLeftOpen(text);
    else tell(result);
  } catch (thrown) {
    if (!isStatementError(thrown)) throw thrown;
    failure = thrown;
  }
  if (isInTransaction(client)) await client.query('rollback');
  await cleanSession(client, { mayHavePrepared: mayPrepare(text), isBorrowed }).catch(() => {
    throw new PgwatchError('connection_failed', 'A session could not be reset after a query.');
  });
  if (failure) throw failure;
}

/** The pooler may lend the server's connection to another program after each transaction. */
async function runPooled(client: PoolClient, config: QueryConfig, text: string): Promise<unknown> {
  const isConfined = mayChangeSession(text);
  if (isConfined) await client.query('begin');
  try {
    const result = await client.query(config);
    if (!isConfined && isInTransaction(client)) throw transactionLeftOpen(text);
    if (isConfined) {
      const mayHavePrepared = mayPrepare(text);
      await cleanSession(client, { mayHavePrepared, isBorrowed: false, after: 'commit' });
    }
    return result;
  } catch (thrown) {
    if (isInTransaction(client)) await client.query('rollback').catch(() => {});
    throw thrown;
  }
}

function transactionLeftOpen(text: string): PgwatchError {
  return new PgwatchError(
    'handler_failed',
    `"${text.trim().slice(0, 20)}" left a transaction open, which was rolled back: each query ` +
      'of context.db may run on another connection. ' +
      'To run all of them in one transaction, set transaction: true.',
  );
}
