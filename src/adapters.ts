/** The public door pgwatch/adapters: publishing in a transaction of an ORM or another library. */
export {
  type DrizzleTransaction,
  fromDrizzle,
  fromMikroOrm,
  fromPrisma,
  fromTypeorm,
  type MikroOrmManager,
  type PrismaTransaction,
  type TypeormManager,
} from './adapters/orms.ts';
export {
  fromKnex,
  fromKysely,
  fromPostgresJs,
  type KnexTransaction,
  type KyselyTransaction,
  type PostgresJsTransaction,
} from './adapters/query-builders.ts';
export type { AdaptedTransaction } from './database/adapted-transaction.ts';
