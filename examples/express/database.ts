import { type Generated, Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';

export type Order = { id: number; item: string };
export type Tables = {
  orders: { id: Generated<number>; item: string };
  invoices: { order_id: number };
};

export const pool = new Pool({ connectionString: process.env.DATABASE_URL });
export const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
