import { describe, expect } from 'vitest';
import { runCli, startCli } from '../helpers/cli.ts';
import { type CopiedTable, copiesSql } from '../helpers/copying.ts';
import { useDatabase } from '../helpers/database.ts';
import { findPgbench, startPgbench } from '../helpers/pgbench.ts';
import { makeProject } from '../helpers/project.ts';
import { until } from '../helpers/wait.ts';
import { wholeTest } from '../helpers/whole.ts';

/*
Goal: a consumer that applies the notifications of captured tables has those tables, row by row.
Method: pgbench's own TPC-B, with one table that has no primary key. The tables are captured while
empty, filled by COPY and by one statement, then written by 16 clients. A daemon copies them, and is
killed while it copies the initial rows and again while the clients write. Two wrong consumers must
be noticed: one skips a notification in a thousand, one assumes that none comes twice.
*/

const CLIENTS = 16;
const TRANSACTIONS = 2000;
const TABLES: Record<string, CopiedTable> = {
  pgbench_accounts: { key: 'aid', others: ['bid', 'abalance', 'filler'] },
  pgbench_branches: { key: 'bid', others: ['bbalance', 'filler'] },
  pgbench_tellers: { key: 'tid', others: ['bid', 'tbalance', 'filler'] },
  pgbench_history: { key: null, others: ['tid', 'bid', 'aid', 'delta', 'mtime', 'filler'] },
};
const KEYED = ['pgbench_accounts', 'pgbench_branches', 'pgbench_tellers'];

const RIGHT: Record<string, string> = {
  exactly_once: `channels: ['keyed', 'history'], transaction: true, isOnce: true, hasEvents: false`,
  at_least_once:
    "channels: ['keyed', 'history'], transaction: false, isOnce: false, hasEvents: true",
};
const WRONG: Record<string, string> = {
  forgetful: `channels: ['history'], transaction: true, isOnce: true, hasEvents: false,
    ignores: () => ++seen % 1000 === 0`,
  // With HANG it never returns after its write, so it is killed before that is settled.
  careless: `channels: ['history'], transaction: false, isOnce: true, hasEvents: false,
    onWritten: (rowCount) => rowCount > 0 && process.env.HANG && new Promise(() => {})`,
};
const CONSUMERS = { ...RIGHT, ...WRONG };

const program = findPgbench() ?? '';
if (!program) {
  console.warn(
    'SKIPPED: copies of the tables of pgbench, which must be installed ' +
      '("apt-get install postgresql-contrib").',
  );
}

describe.skipIf(!program)('the tables of pgbench, all captured', () => {
  const database = useDatabase();

  const pgbench = (...args: string[]) => startPgbench(program, database.url, args);
  const pgwatch = () => ({ env: { DATABASE_URL: database.url } });

  /** The first column of the first row. */
  async function ask(query: string): Promise<unknown> {
    const { rows } = await database.pool.query({ text: query, rowMode: 'array' });
    return rows[0]?.[0];
  }

  async function capture(): Promise<void> {
    for (const id of Object.keys(CONSUMERS)) await database.query(copiesSql(id, TABLES));
    const keyed = await runCli(['trigger', 'add', ...KEYED, '--channel', 'keyed'], pgwatch());
    expect(keyed).toMatchObject({ exitCode: 0 });
    const args = ['trigger', 'add', 'pgbench_history', '--channel', 'history'];
    expect(await runCli(args, pgwatch())).toMatchObject({ exitCode: 0 });
  }

  function makeConsumers(): string {
    const helper = new URL('../helpers/copying.ts', import.meta.url).href;
    const files = Object.entries(CONSUMERS).map(([id, copying]) => [
      `consumers/${id}.js`,
      `import { copyingConsumer } from '${helper}';
      let seen = 0;
      export default copyingConsumer('${id}', { tables: ${JSON.stringify(TABLES)}, ${copying} });`,
    ]);
    return makeProject(Object.fromEntries(files));
  }

  const untilHandled = () =>
    until(
      'all is handled',
      async () => {
        const text = await ask(
          `select string_agg(
               consumer_id || ' lacks ' || log.max_id - done_id, ', ' order by consumer_id)
             || (select ', filed ' || count(*) from pgwatch.delivery)
           from pgwatch.consumer_progress,
             (select max(id) as max_id from pgwatch.notification_log) as log`,
        );
        const ids = Object.keys(CONSUMERS).sort();
        const expected = `${ids.map((id) => `${id} lacks 0`).join(', ')}, filed 0`;
        return text === expected || String(text);
      },
      120_000,
    );

  /** The number of rows that are only in a table or only in its copy. */
  async function countDifferences(id: string, tables: readonly string[]): Promise<number> {
    const counts = tables.map((name) => {
      const { key, others } = TABLES[name] as CopiedTable;
      const columns = [...(key ? [key] : []), ...others].join(', ');
      const original = `select ${columns} from ${name}`;
      const copy = `select ${columns} from ${id}.${name}`;
      return `(select count(*) from ((${original} except all ${copy})
        union all (${copy} except all ${original})) as d)`;
    });
    return Number(await ask(`select ${counts.join(' + ')}`));
  }

  /** Fills the tables and writes to them, and kills the daemon in the middle of both. */
  async function writeAndKill(): Promise<void> {
    const cwd = makeConsumers();
    const listen = (env = {}) => startCli(['listen'], { cwd, env: { ...pgwatch().env, ...env } });
    const first = listen();
    await pgbench('-i', '-q', '-I', 'g').done;
    await until('some of it is copied', async () => {
      return Number(await ask('select count(*) from exactly_once.pgbench_accounts')) > 10_000;
    });
    first.signal('SIGKILL');
    const second = listen({ HANG: '1' });
    await pgbench('-i', '-q', '-I', 'G').done;
    await untilHandled();

    const clients = pgbench('-c', `${CLIENTS}`, '-j', '2', '-t', `${TRANSACTIONS / CLIENTS}`);
    await until('all copy what the clients write', async () => {
      const counts = ['exactly_once', 'at_least_once', 'careless'].map(
        (id) => `(select count(*)::int from ${id}.pgbench_history)`,
      );
      return Number(await ask(`select least(${counts})`)) > 0;
    });
    expect(clients.isRunning()).toBe(true);
    second.signal('SIGKILL');
    listen();
    await clients.done;
    await untilHandled();
  }

  wholeTest(
    'copies made from notifications equal the tables, even if the daemon is killed',
    async () => {
      await pgbench('-i', '-q', '-I', 'dtp').done;
      await capture();
      await writeAndKill();
      const right = Object.keys(RIGHT).map((id) => countDifferences(id, Object.keys(TABLES)));
      const wrong = Object.keys(WRONG).map((id) => countDifferences(id, ['pgbench_history']));
      const found = { right: await Promise.all(right), wrong: await Promise.all(wrong) };
      console.log(
        `TPC-B: ${await ask('select count(*) from pgbench_history')} transactions of ` +
          `${CLIENTS} clients,`,
        `${await ask('select count(*) from pgwatch.notification_log')} notifications, 2 kills,`,
        `differences ${found.right.join(', ')}; of the wrong consumers ${found.wrong.join(', ')}`,
      );
      expect(found.right).toEqual([0, 0]);
      expect(Math.min(...found.wrong)).toBeGreaterThan(0);
      expect(await ask('select count(*)::int from pgbench_history')).toBe(TRANSACTIONS);
    },
    300_000,
  );
});
