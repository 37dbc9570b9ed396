import type { AdaptedTransaction } from '../database/adapted-transaction.ts';
import { adapt, type Library } from './adapt.ts';
import { isKyselyTransaction, type KyselyTransaction, runWithKysely } from './query-builders.ts';

/** The tx of Prisma's $transaction(). */
export type PrismaTransaction = {
  $queryRawUnsafe(query: string, ...values: unknown[]): PromiseLike<unknown>;
  /** Only a PrismaClient has it. */
  $connect?: never;
};

/** The tx of Drizzle's transaction(). */
export type DrizzleTransaction = {
  execute(query: { getSQL(): unknown } | string): PromiseLike<unknown>;
  /** Only a transaction has it. */
  rollback(): never;
  /** Managers of MikroORM have the others. */
  readonly $with: unknown;
};

/** The manager of TypeORM's transaction(). */
export type TypeormManager = {
  readonly queryRunner?: { readonly isTransactionActive: boolean } | undefined;
  query(query: string, values?: unknown[]): Promise<unknown>;
  /** Neither a DataSource nor a QueryRunner has it. */
  withRepository(...args: never[]): unknown;
};

/** The em of MikroORM's transactional(). */
export type MikroOrmManager = {
  isInTransaction(): boolean;
  getTransactionContext(): unknown;
};

/**
 * Publishes in a transaction of Prisma: `notify(fromPrisma(tx), …)`.
 * @param tx the argument of `prisma.$transaction(async (tx) => …)`
 * @throws PgwatchError input_invalid; transaction_missing for a PrismaClient
 */
export function fromPrisma(tx: PrismaTransaction): AdaptedTransaction {
  return adapt(tx, PRISMA);
}

/**
 * Publishes in a transaction of Drizzle, with any of its drivers: `notify(fromDrizzle(tx), …)`.
 * @param tx the argument of `db.transaction(async (tx) => …)`
 * @throws PgwatchError input_invalid; transaction_missing for db
 */
export function fromDrizzle(tx: DrizzleTransaction): AdaptedTransaction {
  return adapt(tx, DRIZZLE);
}

/**
 * Publishes in a transaction of TypeORM: `notify(fromTypeorm(manager), …)`.
 * @param manager the argument of `dataSource.transaction(async (manager) => …)`, or the manager of
 *   a query runner that has started a transaction
 * @throws PgwatchError input_invalid; transaction_missing for `dataSource.manager`, and once the
 *   transaction has ended
 */
export function fromTypeorm(manager: TypeormManager): AdaptedTransaction {
  return adapt(manager, TYPEORM);
}

/**
 * Publishes in a transaction of MikroORM: `notify(fromMikroOrm(em), …)`.
 * @param em the argument of `em.transactional(async (em) => …)`, or one after `em.begin()`
 * @throws PgwatchError input_invalid; transaction_missing for an em without a transaction
 */
export function fromMikroOrm(em: MikroOrmManager): AdaptedTransaction {
  return adapt(em, MIKRO_ORM);
}

const PRISMA: Library<PrismaTransaction> = {
  adapter: 'fromPrisma',
  takes: 'tx, the argument of prisma.$transaction(async (tx) => …)',
  isFrom: (tx) => typeof tx.$queryRawUnsafe === 'function',
  isInTransaction: (tx) => tx.$connect === undefined,
  run: (tx, text, values) => tx.$queryRawUnsafe(text, ...values),
};

const DRIZZLE: Library<DrizzleTransaction> = {
  adapter: 'fromDrizzle',
  takes: 'tx, the argument of db.transaction(async (tx) => …)',
  isFrom: (tx) => typeof tx.execute === 'function' && tx.$with !== undefined,
  isInTransaction: (tx) => typeof tx.rollback === 'function',
  // The least of Drizzle's SQL that execute() needs; the sql of drizzle-orm would be a dependency.
  run: (tx, sql, params) => tx.execute({ getSQL: () => ({ toQuery: () => ({ sql, params }) }) }),
};

const TYPEORM: Library<TypeormManager> = {
  adapter: 'fromTypeorm',
  takes: 'manager, the argument of dataSource.transaction(async (manager) => …)',
  isFrom: (manager) =>
    typeof manager.query === 'function' && typeof manager.withRepository === 'function',
  isInTransaction: (manager) => manager.queryRunner?.isTransactionActive === true,
  run: (manager, text, values) => manager.query(text, values),
};

/** em.execute() would write the values into the text. Its transaction is one of Kysely. */
const MIKRO_ORM: Library<MikroOrmManager> = {
  adapter: 'fromMikroOrm',
  takes: 'em, the argument of em.transactional(async (em) => …)',
  isFrom: (em) => typeof em.getTransactionContext === 'function',
  isInTransaction: (em) => isKyselyTransaction(em.getTransactionContext()),
  run: (em, text, values) =>
    runWithKysely(em.getTransactionContext() as KyselyTransaction, text, values),
};
