import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core';
import { Pool } from 'pg';

export const pool = new Pool({ connectionString: process.env.DATABASE_URL });
export const db = drizzle({ client: pool });

export const orders = pgTable('orders', { id: serial().primaryKey(), item: text().notNull() });
export const invoices = pgTable('invoices', { orderId: integer('order_id').notNull() });
export type Order = typeof orders.$inferSelect;
