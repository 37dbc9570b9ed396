import type { ConsumerDefinition } from '../../../src/consumers/define.ts';

/**
 * The doors through which consumers run: files, as "pgwatch listen" runs them; and in a program,
 * listen() with objects or a loop over subscribe().
 */
export type Door = 'files' | 'listen' | 'subscribe';

export type TestDefinition = ConsumerDefinition & { id: string };
