import pg from 'pg';
import type { TriggerOptions } from '../../../src/config/triggers.ts';
import type { Random } from '../../racing/random.ts';
import { KEYS, NAMES, TYPES } from './values.ts';

/** A random table. */
export type RandomTable = {
  /** Quoted. */
  name: string;
  text: string;
  keyType: string;
  /** The key's columns, then the others, quoted, as written in SQL. */
  keyColumns: string[];
  columns: { name: string; type: string }[];
  isPartitioned: boolean;
  /** A trigger of its own changes other rows of it. */
  isNested: boolean;
  options: TriggerOptions;
  create: string[];
};

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

/** What is not left to chance. */
export type Wish = {
  keyType?: string;
  isPartitioned?: boolean;
  isNested?: boolean;
  forEach?: 'statement' | 'row';
  /** Nothing that keeps it off the fast path of the trigger function. */
  isPlain?: boolean;
};

/** Makes up a table; `number` keeps the names distinct. */
export function randomTable(random: Random, number: number, wish: Wish = {}): RandomTable {
  const text = `${pick(random, NAMES)} ${number}`;
  const name = pg.escapeIdentifier(text);
  const keyType = wish.keyType ?? pick(random, Object.keys(KEYS));
  const keyTypes = keyType === 'none' ? [] : keyType.split(', ');
  const keyColumns = keyTypes.map((_, index) =>
    pg.escapeIdentifier(`${pick(random, NAMES)} k${index}`),
  );
  const types = Object.keys(TYPES).filter(
    (type) => !wish.isPlain || !['json', 'note'].includes(type),
  );
  const columns = Array.from({ length: 1 + Math.floor(random() * 7) }, (_, index) => ({
    name: pg.escapeIdentifier(`${pick(random, NAMES)} c${index}`),
    type: pick(random, types),
  }));
  const isPartitioned = wish.isPartitioned ?? (keyType !== 'none' && random() < 0.2);
  const isNested = wish.isNested ?? (!isPartitioned && keyType === 'integer' && random() < 0.5);
  const hasGenerated = random() < 0.3;
  const refersToItself =
    !isPartitioned && keyType === 'integer' && wish.forEach !== 'statement' && random() < 0.5;
  const parts = [
    ...keyTypes.map((type, index) => `${keyColumns[index]} ${type}`),
    ...columns.map((column) => `${column.name} ${column.type}`),
    'touched int not null default 0',
    ...(hasGenerated ? ['doubled int generated always as (touched * 2) stored'] : []),
    ...(refersToItself
      ? [`parent int references ${name} on delete cascade on update cascade`]
      : []),
    ...(keyColumns.length > 0 ? [`primary key (${keyColumns.join(', ')})`] : []),
  ];
  const create = [
    `create table ${name} (${parts.join(', ')})
     ${isPartitioned ? `partition by hash (${keyColumns[0]})` : ''}`,
    ...(isPartitioned ? partitions(name) : []),
    ...(isNested ? nestedTrigger(name, keyColumns[0] ?? '', number) : []),
  ];
  // Captured for each statement, these would sometimes be recorded in the wrong order.
  const isForRows = isPartitioned || isNested || refersToItself;
  const levels = isForRows ? ['auto', 'row'] : ['auto', 'auto', 'row', 'statement'];
  const forEach = wish.forEach ?? pick(random, levels);
  const options = {
    forEach,
    ...(!wish.isPlain && random() < 0.3 && { notify: 'off' }),
  } as TriggerOptions;
  return { name, text, keyType, keyColumns, columns, isPartitioned, isNested, options, create };
}

function partitions(name: string): string[] {
  return [0, 1].map(
    (part) =>
      `create table ${name.slice(0, -1)} part ${part}" partition of ${name}
       for values with (modulus 2, remainder ${part})`,
  );
}

/** Writes to each written row again: the first write must be recorded first. */
function nestedTrigger(name: string, key: string, number: number): string[] {
  return [
    `create function nested_${number}() returns trigger language plpgsql as $body$
     begin
       update ${name} set touched = touched + 1 where ${key} = new.${key};
       return null;
     end $body$`,
    `create trigger a_nested after insert or update on ${name}
     for each row when (pg_trigger_depth() < 2) execute function nested_${number}()`,
  ];
}
