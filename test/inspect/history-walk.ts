import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { Client } from 'pg';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import type { TriggerOptions } from '../../src/config/triggers.ts';
import { rowAt } from '../../src/inspect/history/at.ts';
import { readCoverage, readRowChanges } from '../../src/inspect/history/read.ts';
import { findSubject, type Subject } from '../../src/inspect/history/subject.ts';
import { undoSql } from '../../src/inspect/history/undo.ts';
import { type RowVersion, versionsOf } from '../../src/inspect/history/versions.ts';
import { parseJson } from '../../src/json.ts';
import type { LogRow } from '../../src/log/notification.ts';
import { randomStatements } from '../capture/random/statements.ts';
import { type RandomTable, randomTable, type Wish } from '../capture/random/table.ts';
import type { TestDatabase } from '../helpers/database.ts';
import { type Random, seededRandom } from '../racing/random.ts';

/** The table's rows at a time, by their ids in command-line form. */
export type Truth = { time: Date; xid: string; rows: Map<string, unknown> };

/** A faulty reader of the history, which tests must catch. */
export type Fault = (rows: LogRow[]) => LogRow[];

/**
 * A writer that walks at random over a captured table, and keeps the table's true contents after
 * each transaction.
 */
export class HistoryWalk {
  readonly table: RandomTable;
  readonly truths: Truth[] = [];
  readonly #client: Client;
  readonly #random: Random;
  readonly #database: TestDatabase;
  readonly #file = `${tmpdir()}/pgwatch-history-${randomUUID()}`;

  static async begin(
    database: TestDatabase,
    {
      seed,
      number,
      wish,
      options = {},
    }: { seed: number; number: number; wish?: Wish; options?: TriggerOptions },
  ): Promise<HistoryWalk> {
    const random = seededRandom(seed + number);
    const table = randomTable(random, number, { isNested: false, ...wish });
    const client = await database.connect();
    // For the text of the truth; pgwatch does not depend on it.
    await client.query(`set timezone = 'UTC'`);
    const walk = new HistoryWalk(database, client, { table, random });
    for (const statement of table.create) await client.query(statement);
    await createTrigger(client, `"${table.text.replaceAll('"', '""')}"`, {
      ...table.options,
      ...options,
    });
    return walk;
  }

  private constructor(
    database: TestDatabase,
    client: Client,
    { table, random }: { table: RandomTable; random: Random },
  ) {
    this.#database = database;
    this.#client = client;
    this.table = table;
    this.#random = random;
  }

  /** Runs transactions, some of which fail or are rolled back. */
  async walk(transactions: number, { afterEach }: { afterEach?: () => Promise<void> } = {}) {
    const { rows } = await this.#client.query(
      `select current_setting('server_version_num')::int / 10000 as major`,
    );
    for (let n = 0; n < transactions; n++) {
      const xid = await this.#transaction(rows[0].major);
      if (xid === null) continue;
      this.truths.push(await this.#truth(xid));
      await afterEach?.();
    }
  }

  async end(): Promise<void> {
    await this.#client.end();
  }

  /** Where history and truth differ, one line each. */
  async differences(fault: Fault = (rows) => rows): Promise<string[]> {
    const found: string[] = [];
    const ids = new Set(this.truths.flatMap(({ rows }) => [...rows.keys()]));
    for (const id of ids) {
      const subject = await this.subject(id);
      const rows = fault(await this.changes(subject));
      const coverage = await readCoverage(this.#client, 'pgwatch', subject);
      for (const { time, rows: truth } of this.truths) {
        const { state, row, version, next } = await rowAt(
          versionsOf(rows),
          time,
          async () => coverage,
        );
        // Nothing says whether the row existed before the first known TRUNCATE.
        const isTruncated = version === null && next?.action === 'TRUNCATE';
        const isUncovered = coverage === null || coverage > time;
        if (state === 'unknown' && (isUncovered || isTruncated)) continue;
        const [expected, actual] = [truth.get(id) ?? null, state === 'absent' ? null : row];
        const texts = [expected, actual].map((each) => canonical(each));
        if (state === 'unknown' || texts[0] !== texts[1]) {
          found.push(`${id} at ${time.toISOString()}: ${texts[0]}, not ${state} ${texts[1]}`);
        }
      }
    }
    return found;
  }

  subject(id: string): Promise<Subject> {
    const table = { schema: 'public', name: this.table.text };
    const names = this.#database.config;
    return findSubject(this.#client, names, { table, id, schemas: [] });
  }

  async changes(subject: Subject): Promise<LogRow[]> {
    const period = { since: null, until: null };
    return Array.fromAsync(readRowChanges(this.#client, 'pgwatch', subject, period));
  }

  /** Undoes the last transaction, compares, and rolls back. Returns null if it was a TRUNCATE. */
  async undoLast(): Promise<{ sql: string; differences: string[] } | null> {
    const [before, last] = this.truths.slice(-2);
    if (!before || !last) return null;
    const ids = new Set([...before.rows.keys(), ...last.rows.keys()]);
    const { rows } = await this.#client.query(
      `select payload -> 'id' as id, payload ->> 'action' as action from pgwatch.notification
        where xid = $1::text::xid8`,
      [last.xid],
    );
    if (rows.some(({ action }) => action === 'TRUNCATE')) return null;
    for (const { id } of rows) ids.add(typeof id === 'object' ? JSON.stringify(id) : String(id));
    const undone: [RowVersion, Subject][] = [];
    for (const id of ids) {
      const subject = await this.subject(id);
      for await (const version of versionsOf(await this.changes(subject))) {
        if (version.xid === last.xid) undone.push([version, subject]);
      }
    }
    undone.sort(([a], [b]) => b.notificationId - a.notificationId);
    const unique = undone.filter(
      ([version], index) => version.notificationId !== undone[index - 1]?.[0].notificationId,
    );
    return this.#tryOut(unique, before);
  }

  async #tryOut(undone: readonly [RowVersion, Subject][], before: Truth) {
    const statements: string[] = [];
    for (const [version, subject] of undone) {
      const hasChange =
        version.action !== 'UPDATE' || version.changed.some((name) => name !== 'doubled');
      if (hasChange) statements.push(await undoSql(this.#client, 'pgwatch', subject, version));
    }
    await this.#client.query('begin');
    const sql = statements.join('\n');
    try {
      for (const statement of statements) await this.#client.query(statement);
      const { rows } = await this.#truth('0');
      const differences = [...new Set([...rows.keys(), ...before.rows.keys()])].filter(
        (id) => canonical(rows.get(id)) !== canonical(before.rows.get(id)),
      );
      return { sql, differences };
    } catch (thrown) {
      return { sql, differences: [(thrown as Error).message] };
    } finally {
      await this.#client.query('rollback');
    }
  }

  async #transaction(major: number): Promise<string | null> {
    const random = this.#random;
    await this.#client.query('begin');
    for (let left = 1 + Math.floor(random() * 3); left > 0; left--) {
      await this.#client.query('savepoint s');
      const statements = randomStatements(random, this.table, { major, file: this.#file });
      try {
        for (const statement of statements) await this.#client.query(statement);
      } catch (thrown) {
        const { code = '' } = thrown as { code?: string };
        if (!EXPECTED.some((expected) => code.startsWith(expected))) throw thrown;
        await this.#client.query('rollback to s');
      }
    }
    const { rows } = await this.#client.query(
      'select pg_current_xact_id_if_assigned()::text as xid',
    );
    await this.#client.query(random() < 0.85 ? 'commit' : 'rollback');
    return rows[0].xid;
  }

  /** Sleeps before and after reading the clock, so all writes are milliseconds from that time. */
  async #truth(xid: string): Promise<Truth> {
    const { keyColumns, name } = this.table;
    const keys = keyColumns.map(
      (column) => `'${unquoted(column).replaceAll("'", "''")}', ${column}`,
    );
    const { rows } = await this.#client.query<{ id: string; single: string; row: string }>(
      `select json_build_object(${keys.join(', ')})::text as id,
        to_json(${keyColumns[0]}) #>> '{}' as single,
         to_jsonb(t)::text as row from ${name} as t`,
    );
    await this.#client.query('select pg_sleep(0.003)');
    const { rows: times } = await this.#client.query('select clock_timestamp() as time');
    await this.#client.query('select pg_sleep(0.003)');
    const entries = rows.map(
      ({ id, single, row }) => [keyColumns.length === 1 ? single : id, parseJson(row)] as const,
    );
    return { time: times[0].time, xid, rows: new Map(entries) };
  }
}

/** With the columns of objects in one order. */
function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_, each) =>
    each && typeof each === 'object' && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

function unquoted(name: string): string {
  return name.slice(1, -1).replaceAll('""', '"');
}

/** Constraint violations, and rows that a statement may not touch twice. */
const EXPECTED = ['23', '21000', '27000', '22003'];
