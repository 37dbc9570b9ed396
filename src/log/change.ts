/**
 * The captured tables by name, as in 'public.users'. Empty here: the file that "pgwatch types"
 * writes adds them, which gives the rows of a change their types everywhere.
 */
// biome-ignore lint/suspicious/noEmptyInterface: only an interface can be extended by other files
export interface CapturedTables {}

/** The types of a captured table: an entry of CapturedTables. */
export type CapturedTable = {
  schema: string;
  table: string;
  id: unknown;
  row: object;
  updatedRow: object;
};

/**
 * A captured row change of any table, or of the named ones, as in Change<'public.users'>. Comparing
 * `table` (and `schema`, if two have a table of that name) and `action` narrows the type.
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
  /** The value of the primary key: an object if it is composite, null if there is none. */
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
