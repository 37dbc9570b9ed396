import { fromPostgresJs } from 'pgwatch/adapters';
import postgres from 'postgres';
import type { Library } from './library.ts';

export const postgresJs: Library = {
  name: 'Postgres.js',
  adapter: 'fromPostgresJs',
  async open(url) {
    const sql = postgres(url);
    return {
      transact: (item, work) =>
        sql.begin(async (tx) => {
          await tx`insert into orders ${tx({ item })}`;
          await work(fromPostgresJs(tx), tx);
        }),
      mistakes: {
        // @ts-expect-error the pool is not accepted
        'the pool': () => fromPostgresJs(sql),
        async 'a reserved connection'() {
          const reserved = await sql.reserve();
          try {
            // @ts-expect-error not even one of it
            fromPostgresJs(reserved);
          } finally {
            reserved.release();
          }
        },
      },
      close: () => sql.end(),
    };
  },
};
