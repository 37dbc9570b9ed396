import type { Client } from 'pg';
import { readNamesakes } from '../../database/api-functions.ts';
import type { Context, Finding } from './check.ts';

/** Functions that a call may run instead of ours. */
export async function findNamesakes(client: Client, { config }: Context): Promise<Finding[]> {
  const namesakes = await readNamesakes(client, config);
  return namesakes.map(({ signature, sentence, isTrusted }) => ({
    level: isTrusted ? 'note' : 'problem',
    what: sentence,
    why: 'PostgreSQL chooses among functions of the same name by the types of the arguments.',
    fix:
      `drop function ${signature}; or rename it. ` +
      'To keep other roles from creating functions there: revoke create on schema … from public;',
  }));
}
