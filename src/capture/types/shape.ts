import type { ClientBase } from 'pg';
import type { Names } from '../../database/names.ts';
import { argumentsOf, type ExistingTrigger } from '../existing.ts';
import { type CaptureState, readCaptureStates } from '../state.ts';
import type { Table } from '../table.ts';
import { objectText, type Union, valueType } from './json-type.ts';
import { readTypedColumns, type TypedColumn } from './read.ts';

/** The content of notifications of a table. */
export type RowShape = {
  schema: string;
  name: string;
  id: Union;
  /** The type of each column that a payload may contain. */
  columns: Map<string, Union>;
  /** The columns that every row has. */
  always: Set<string>;
  /** The columns that every row of an UPDATE has. */
  alwaysInUpdate: Set<string>;
};

/** Reads the shapes of the captured tables, in order of their names. */
export async function readRowShapes(client: ClientBase, names: Names): Promise<RowShape[]> {
  const states = await readCaptureStates(client, names);
  const columns = await readTypedColumns(
    client,
    states.map(({ table }) => table.oid),
  );
  const shapes = new Map<string, RowShape>();
  for (const state of states) {
    for (const shape of shapesOf(state, columns.get(state.table.oid) ?? [])) {
      const name = JSON.stringify([shape.schema, shape.name]);
      const other = shapes.get(name);
      shapes.set(name, other ? merge(other, shape) : shape);
    }
  }
  // Ordered by code units: a collation would order them differently on another server.
  return [...shapes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, shape]) => shape);
}

/** One shape for each trigger: manually created ones may differ. */
function shapesOf({ table, existing }: CaptureState, columns: readonly TypedColumn[]): RowShape[] {
  return existing.triggers.map((trigger) => shapeOf(table, trigger, columns));
}

/** Follows notify_data_change() and its log_entry(). */
function shapeOf(
  table: Table,
  trigger: ExistingTrigger,
  columns: readonly TypedColumn[],
): RowShape {
  const { id, key, exclude = [], payload = 'full' } = argumentsOf(trigger);
  const known = new Set(columns.map(({ name }) => name));
  // If the id names a dropped column, the function looks up the primary key at every change.
  const idColumns = id?.every((name) => known.has(name)) ? id : table.primaryKey;
  const keyColumns = [...idColumns, ...(key ?? [])].filter((name) => known.has(name));
  const isHeld = ({ name }: TypedColumn) =>
    payload === 'keys' ? keyColumns.includes(name) : !exclude.includes(name);
  const held = columns.filter(isHeld).map((column) => [column.name, valueType(column)] as const);
  const types = new Map(held);
  const always = new Set(types.keys());
  return {
    ...shownName(table, trigger),
    id: idType(idColumns, types),
    columns: types,
    always,
    alwaysInUpdate:
      payload === 'changed' ? new Set(keyColumns.filter((each) => types.has(each))) : always,
  };
}

/** A trigger with an id but no table name uses the name of its own table, from PostgreSQL. */
function shownName({ schema, name, root }: Table, trigger: ExistingTrigger) {
  const { id, table: shown } = argumentsOf(trigger);
  if (shown) return { schema: shown[0], name: shown[1] };
  return id || !root ? { schema, name } : root;
}

function idType(columns: readonly string[], types: ReadonlyMap<string, Union>): Union {
  const [only] = columns;
  if (only === undefined) return ['null'];
  const typeOf = (name: string) => types.get(name) ?? ['null'];
  if (columns.length === 1) return typeOf(only);
  return [objectText(columns.map((name) => [name, typeOf(name)]))];
}

/**
 * The shape that covers both: for different triggers of one table, or partitions of one table that
 * are captured separately.
 */
function merge(one: RowShape, other: RowShape): RowShape {
  const columns = new Map(one.columns);
  for (const [name, type] of other.columns) {
    columns.set(name, [...(columns.get(name) ?? []), ...type]);
  }
  return {
    ...one,
    id: [...one.id, ...other.id],
    columns,
    always: one.always.intersection(other.always),
    alwaysInUpdate: one.alwaysInUpdate.intersection(other.alwaysInUpdate),
  };
}
