import type { EntityManager as MikroOrmManager } from '@mikro-orm/postgresql';
import type { NodePgDatabase, NodePgTransaction } from 'drizzle-orm/node-postgres';
import type { ExtractTablesWithRelations } from 'drizzle-orm/relations';
import type { Knex } from 'knex';
import type { ControlledTransaction, Kysely, Transaction } from 'kysely';
import type pg from 'pg';
import type * as adapters from 'pgwatch/adapters';
import type { Sql, TransactionSql } from 'postgres';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { expectTypeOf, test } from 'vitest';
import type { Prisma, PrismaClient } from './generated/prisma/client.ts';

type Empty = Record<string, never>;
type Tables = { orders: { item: string } };

/** What programs may pass, by a name for it. */
type Given = {
  prisma: PrismaClient;
  'tx of Prisma': Prisma.TransactionClient;
  drizzle: NodePgDatabase;
  'tx of Drizzle': NodePgTransaction<Empty, ExtractTablesWithRelations<Empty>>;
  kysely: Kysely<Tables>;
  'trx of Kysely': Transaction<Tables>;
  'controlled trx of Kysely': ControlledTransaction<Tables>;
  knex: Knex;
  'trx of Knex': Knex.Transaction;
  dataSource: DataSource;
  queryRunner: QueryRunner;
  'manager of TypeORM': EntityManager;
  'em of MikroORM': MikroOrmManager;
  sql: Sql;
  'sql of begin()': TransactionSql;
  pool: pg.Pool;
  client: pg.PoolClient;
};

type Adapters = Omit<typeof adapters, 'AdaptedTransaction'>;

/** The names of what each adapter accepts. */
type Accepted = {
  [Adapter in keyof Adapters]: {
    [Name in keyof Given]: Given[Name] extends Parameters<Adapters[Adapter]>[0] ? Name : never;
  }[keyof Given];
};

test('each adapter accepts the transactions of its library, and nothing else', () => {
  expectTypeOf<Accepted>().toEqualTypeOf<{
    fromPrisma: 'tx of Prisma';
    fromDrizzle: 'tx of Drizzle';
    fromKysely: 'trx of Kysely' | 'controlled trx of Kysely';
    fromKnex: 'trx of Knex';
    fromTypeorm: 'manager of TypeORM';
    // In a transaction or not, they have one type.
    fromMikroOrm: 'em of MikroORM';
    fromPostgresJs: 'sql of begin()';
  }>();
});
