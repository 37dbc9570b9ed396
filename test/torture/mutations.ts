import { NO_CATCH_UP } from './daemons/wrong-readers.ts';
import type { Mutation } from './experiment.ts';

/** Mutants shared by several experiments. */
export const OVER_ANOTHER_CONNECTION: Record<string, Mutation> = {
  'effects are written over another connection': {
    handler: 'writes its effect over another connection',
    shows: ['duplicateEffects'],
  },
};

export const WITHOUT_CATCH_UP: Record<string, Mutation> = {
  'no catch-up after a reconnect': { reader: NO_CATCH_UP, shows: ['lost'] },
};

export const BEFORE_THE_WORK: Record<string, Mutation> = {
  'the position moves before the work is done': {
    handler: 'returns before its work is done',
    shows: ['lost'],
  },
  'a loop acknowledges before the work is done': {
    loop: 'acknowledges before the work',
    shows: ['lost'],
  },
};

/** SQL that changes what pgwatch writes to rows. `statements` end by returning a row. */
export function tamperSql(event: 'insert' | 'update', table: string, statements: string): string {
  return `create function torture.tamper() returns trigger language plpgsql as $$
    begin ${statements} end $$;
    create trigger tamper before ${event} on pgwatch.${table} for each row
    execute function torture.tamper()`;
}
