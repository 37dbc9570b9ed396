import { isDeepStrictEqual } from 'node:util';
import type { Change } from '../../src/log/notification.ts';
import type { TestDatabase } from './database.ts';

type Row = Record<string, unknown>;

/**
 * A copy of a table built only from its notifications, in the order in which a consumer gets them.
 * Rows without a primary key are identified by their contents.
 */
export class RebuiltTable {
  /** Changes that did not fit: an insert of an existing row, a change of a missing one. */
  readonly complaints: string[] = [];
  /** True if it begins with a snapshot, so changes may concern rows that it does not have yet. */
  readonly #isPartial: boolean;
  readonly #rows = new Map<string, Row[]>();

  constructor({ isPartial = false } = {}) {
    this.#isPartial = isPartial;
  }

  apply(change: Change): void {
    const { id } = change;
    const nameOf = (row: Row) => JSON.stringify(id === null ? row : id);
    switch (change.action) {
      case 'INSERT':
        this.#add(nameOf(change.new), change.new, id !== null);
        break;
      case 'UPDATE':
        this.#remove(nameOf(change.old), change.old);
        this.#add(nameOf(change.new), change.new, id !== null);
        break;
      case 'DELETE':
        this.#remove(nameOf(change.old), change.old);
        break;
      case 'SNAPSHOT':
        this.#rows.set(nameOf(change.new), [change.new]);
        break;
      default:
        this.#rows.clear();
    }
  }

  get rows(): Row[] {
    return [...this.#rows.values()].flat();
  }

  /** Rows that only the table or only the copy has, as text; none if they are equal. */
  async differences(database: Pick<TestDatabase, 'query'>, table: string): Promise<string[]> {
    const { rows } = await database.query(
      `with original as (select to_jsonb(t) as row from ${table} as t),
         copy as (
           select to_jsonb(jsonb_populate_record(null::${table}, value)) as row
           from jsonb_array_elements($1::jsonb) as value)
       select 'table: ' || row::text as text
         from (select * from original except all select * from copy) as a
       union all
       select 'copy: ' || row::text
         from (select * from copy except all select * from original) as b`,
      [JSON.stringify(this.rows)],
    );
    return [...this.complaints, ...rows.map(({ text }) => text as string)];
  }

  #add(name: string, row: Row, isUnique: boolean): void {
    const there = this.#rows.get(name) ?? [];
    if (isUnique && there.length > 0) this.complaints.push(`inserted twice: ${name}`);
    this.#rows.set(name, isUnique ? [row] : [...there, row]);
  }

  #remove(name: string, row: Row): void {
    const [first, ...rest] = this.#rows.get(name) ?? [];
    if (!first && this.#isPartial) return;
    if (!first) this.complaints.push(`not there: ${name}`);
    else if (!isDeepStrictEqual(first, row)) this.complaints.push(`was another row: ${name}`);
    if (rest.length > 0) this.#rows.set(name, rest);
    else this.#rows.delete(name);
  }
}
