import { PrismaPg } from '@prisma/adapter-pg';
import { createPgwatch } from 'pgwatch';
import { PrismaClient } from './generated/client.ts';

const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL });
export const prisma = new PrismaClient({ adapter });
/** For the routes, which Next.js bundles apart from server.ts. */
export const pgwatch = createPgwatch();
