/**
 * The captured tables by their names, 'public.users'. Empty: the file that "pgwatch types" writes
 * declares them, so that the compiler knows the rows wherever a change is looked at.
 */
// biome-ignore lint/suspicious/noEmptyInterface: several files can add to an interface only
export interface CapturedTables {}

/** What is known of a captured table: an entry of CapturedTables. */
export type CapturedTable = {
  schema: string;
  table: string;
  id: unknown;
  row: object;
  updatedRow: object;
};

/**
 * A captured row change: of any table, or of those that are named, as in Change<'public.users'>.
 * Comparing `table` (and `schema`, where two have a table of that name) and `action` tells what
 * else there is.
 */
export type Change<Name extends keyof CapturedTables = keyof CapturedTables> = [
  keyof CapturedTables,
] extends [never]
  ? ChangeOf<UnknownTable>
  : { [Each in Name]: ChangeOf<CapturedTables[Each]> }[Name];

type ChangeOf<Table> = Table extends CapturedTable
  ? { schema: Table['schema']; table: Table['table'] } & (
      | (WithId<Table> & RowChange<Table['row'], Table['updatedRow']>)
      | { action: 'TRUNCATE'; id: null }
    )
  : never;

type WithId<Table extends CapturedTable> = {
  /** The value of the primary key, an object for a composite one, null without one. */
  id: Table['id'];
};

type RowChange<Row, UpdatedRow> =
  | { action: 'INSERT'; new: Row }
  | { action: 'UPDATE'; old: UpdatedRow; new: UpdatedRow; changed: (keyof Row & string)[] }
  | { action: 'DELETE'; old: Row }
  | { action: 'SNAPSHOT'; new: Row };

type UnknownTable = {
  schema: string;
  table: string;
  id: unknown;
  row: Record<string, unknown>;
  updatedRow: Record<string, unknown>;
};
