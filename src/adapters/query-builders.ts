import type { AdaptedTransaction } from '../database/adapted-transaction.ts';
import { isObject } from '../kinds.ts';
import { adapt, type Library } from './adapt.ts';

/** The trx of Kysely's transaction().execute(). */
export type KyselyTransaction = {
  readonly isTransaction: true;
  executeQuery(query: KyselyQuery): Promise<{ rows: unknown[] }>;
};

/** The trx of Knex's transaction(). */
export type KnexTransaction = {
  readonly isTransaction?: boolean;
  /** Only a transaction has it. */
  isCompleted(): boolean;
  raw(sql: string, bindings: readonly (string | null)[]): PromiseLike<unknown>;
};

/** The sql of Postgres.js's begin(). */
export type PostgresJsTransaction = {
  unsafe(query: string, values?: (string | null)[]): PromiseLike<unknown>;
  /** Only a transaction has it. */
  savepoint(...args: never[]): unknown;
};

/** What Kysely makes of a text and its values. */
type KyselyQuery = {
  sql: string;
  parameters: unknown[];
  query: { kind: 'RawNode'; sqlFragments: string[]; parameters: never[] };
  queryId: { queryId: string };
};

/**
 * Publishes in a transaction of Kysely: `notify(fromKysely(trx), …)`.
 * @param trx the argument of `db.transaction().execute(async (trx) => …)`, or what
 *   `db.startTransaction().execute()` returns
 * @throws PgwatchError input_invalid; transaction_missing for db
 */
export function fromKysely(trx: KyselyTransaction): AdaptedTransaction {
  return adapt(trx, KYSELY);
}

/**
 * Publishes in a transaction of Knex: `notify(fromKnex(trx), …)`.
 * @param trx the argument of `knex.transaction(async (trx) => …)`, or what it returns without one
 * @throws PgwatchError input_invalid; transaction_missing for knex, and once the transaction has
 *   ended
 */
export function fromKnex(trx: KnexTransaction): AdaptedTransaction {
  return adapt(trx, KNEX);
}

/**
 * Publishes in a transaction of Postgres.js: `notify(fromPostgresJs(sql), …)`.
 * @param sql the argument of `sql.begin(async (sql) => …)`
 * @throws PgwatchError input_invalid; transaction_missing for the sql that postgres() returns
 */
export function fromPostgresJs(sql: PostgresJsTransaction): AdaptedTransaction {
  return adapt(sql, POSTGRES_JS);
}

export function isKyselyTransaction(given: unknown): given is KyselyTransaction {
  return isObject(given) && given.isTransaction === true;
}

export function runWithKysely(trx: KyselyTransaction, text: string, values: unknown[]) {
  return trx.executeQuery({
    sql: text,
    parameters: values,
    query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
    queryId: { queryId: 'pgwatch' },
  });
}

const KYSELY: Library<KyselyTransaction> = {
  adapter: 'fromKysely',
  takes: 'trx, the argument of db.transaction().execute(async (trx) => …)',
  isFrom: (trx) => typeof trx.executeQuery === 'function',
  isInTransaction: isKyselyTransaction,
  run: runWithKysely,
};

const KNEX: Library<KnexTransaction> = {
  adapter: 'fromKnex',
  takes: 'trx, the argument of knex.transaction(async (trx) => …)',
  isFrom: (trx) => typeof trx.raw === 'function',
  isInTransaction: (trx) => trx.isTransaction === true && !trx.isCompleted(),
  run: async (trx, text, values) => {
    try {
      return await trx.raw(withQuestionMarks(text), values);
    } catch (thrown) {
      throw withoutStatement(thrown, text);
    }
  },
};

/**
 * Knex's parameters have no numbers; those of the text occur once each, in order. The schema's name
 * may contain anything.
 */
function withQuestionMarks(text: string): string {
  return text.replaceAll(/"(?:[^"]|"")*"|\$\d/g, (found) =>
    found.startsWith('"') ? found.replaceAll('?', '\\?') : '?',
  );
}

/** Knex puts the statement before the server's message. */
function withoutStatement(thrown: unknown, text: string): unknown {
  const prefix = `${text} - `;
  if (thrown instanceof Error && thrown.message.startsWith(prefix)) {
    thrown.message = thrown.message.slice(prefix.length);
  }
  return thrown;
}

const POSTGRES_JS: Library<PostgresJsTransaction> = {
  adapter: 'fromPostgresJs',
  takes: 'sql, the argument of sql.begin(async (sql) => …)',
  isFrom: (sql) => typeof sql.unsafe === 'function',
  isInTransaction: (sql) => typeof sql.savepoint === 'function',
  run: (sql, text, values) => sql.unsafe(text, values),
};
