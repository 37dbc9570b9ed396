import type { Random } from '../../racing/random.ts';
import { pick, type RandomTable } from './table.ts';
import { KEYS, TYPES } from './values.ts';

export type StatementOptions = {
  /** The server's major version. */
  major: number;
  /** A file on the server that COPY may write. */
  file: string;
};

/** Makes up statements that write to a table; some of them may fail. */
export function randomStatements(
  random: Random,
  table: RandomTable,
  options: StatementOptions,
): string[] {
  const kinds = Object.keys(STATEMENTS).filter(
    (kind) =>
      (table.keyColumns.length > 0 || !NEEDS_KEY.includes(kind)) &&
      (kind !== 'merge' || options.major >= 15) &&
      (kind !== 'leaf' || table.isPartitioned),
  );
  return STATEMENTS[pick(random, kinds)]?.(random, table, options) ?? [];
}

type Make = (random: Random, table: RandomTable, options: StatementOptions) => string[];

const NEEDS_KEY = ['upsert', 'move', 'shift', 'merge', 'reinsert', 'from'];

const STATEMENTS: Readonly<Record<string, Make>> = {
  insert: (random, table) => [
    `insert into ${table.name} (${namesOf(table)}) values ${rows(random, table)}
      on conflict do nothing`,
  ],
  strictInsert: (random, table) => [
    `insert into ${table.name} (${namesOf(table)}) values (${row(random, table)})`,
  ],
  upsert: (random, table) => [
    `insert into ${table.name} as t (${namesOf(table)}) values ${rows(random, table)}
     on conflict (${table.keyColumns.join(', ')}) do update
     set touched = t.touched + 1, ${setRandom(random, table)} where ${some(random, 't')}`,
  ],
  update: (random, table) => [
    `update ${table.name} as t set touched = touched + 1, ${setRandom(random, table)}
      where ${some(random, 't')}`,
  ],
  updateAll: (_, table) => [`update ${table.name} set touched = touched + 1`],
  from: (random, table) => [
    `update ${table.name} as t set touched = v.n
      from (values (${Math.floor(random() * 9)}), (77)) as v (n)
     where ${some(random, 't')}`,
  ],
  move: (random, table) => {
    const [to] = keyOf(random, table);
    return [
      `update ${table.name} as t set ${table.keyColumns[0]} = ${to} where ${some(random, 't')}`,
    ];
  },
  shift: (random, table) =>
    table.keyType === 'integer'
      ? [
          `update ${table.name} as t
           set ${table.keyColumns[0]} = ${table.keyColumns[0]} + ${pick(random, [1, -1, 50])}
           where ${some(random, 't')}`,
        ]
      : [],
  delete: (random, table) => [`delete from ${table.name} as t where ${some(random, 't')}`],
  truncate: (random, table) => (random() < 0.3 ? [`truncate ${table.name}`] : []),
  reinsert: (random, table) => [
    `with gone as (delete from ${table.name} as t where ${some(random, 't')} returning *)
     insert into ${table.name} (${namesOf(table)}) select ${namesOf(table)} from gone`,
  ],
  copy: (random, table, { file }) => [
    `copy (select ${namesOf(table)} from ${table.name} as t
      where ${some(random, 't')}) to '${file}'`,
    ...(table.keyColumns.length > 0 ? [`delete from ${table.name}`] : []),
    `copy ${table.name} (${namesOf(table)}) from '${file}'`,
  ],
  merge: (random, table) => [
    `merge into ${table.name} as t using (values ${rows(random, table)}) as s (${namesOf(table)})
     on ${table.keyColumns.map((name) => `t.${name} = s.${name}`).join(' and ')}
     when matched and t.touched % 3 = 2 then delete
     when matched then update set touched = t.touched + 1
     when not matched then insert (${namesOf(table)}) values (${allOf(table)
       .map((name) => `s.${name}`)
       .join(', ')})`,
  ],
  leaf: (random, table) => [
    `delete from ${table.name.slice(0, -1)} part 1" as t where ${some(random, 't')}`,
    `update ${table.name.slice(0, -1)} part 0" set touched = touched + 1`,
  ],
};

function allOf({ keyColumns, columns }: RandomTable): string[] {
  return [...keyColumns, ...columns.map(({ name }) => name)];
}

function namesOf(table: RandomTable): string {
  return allOf(table).join(', ');
}

function keyOf(random: Random, { keyType }: RandomTable): string[] {
  return KEYS[keyType]?.(1 + Math.floor(random() * 12)) ?? [];
}

/** With explicit types, which VALUES in a MERGE could not infer. */
function row(random: Random, table: RandomTable, key = keyOf(random, table)): string {
  return [...key, ...table.columns.map((column) => literalOf(random, column.type))].join(', ');
}

/** Several rows with different keys: one statement cannot touch a row twice. */
function rows(random: Random, table: RandomTable): string {
  const count = 1 + Math.floor(random() * 6);
  const first = Math.floor(random() * 12);
  return Array.from({ length: count }, (_, index) => {
    const key = KEYS[table.keyType]?.(1 + ((first + index) % 12));
    return `(${row(random, table, key)})`;
  }).join(', ');
}

function literalOf(random: Random, type: string): string {
  const value = random() < 0.15 ? 'null' : pick(random, TYPES[type] ?? ['null']);
  return `(${value})::${type}`;
}

function setRandom(random: Random, { columns }: RandomTable): string {
  const { name, type } = pick(random, columns);
  return `${name} = ${literalOf(random, type)}`;
}

/** A condition that holds for some rows, whatever their contents. */
function some(random: Random, alias: string): string {
  const operator = pick(random, ['=', '<', '<>']);
  return `abs(hashtext(${alias}::text)) % 4 ${operator} ${Math.floor(random() * 4)}`;
}
