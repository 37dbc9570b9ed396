import { readEncoding, UTF8_ONLY } from '../../database/encoding.ts';
import type { Check, Finding } from './check.ts';
import { faultsOf } from './known-faults.ts';

/** Checks the version of PostgreSQL, its known bugs, and that the server can be used at all. */
export const version: Check = {
  name: 'version',
  runs: 'transaction',
  needs: 'nothing',
  async run(client) {
    const { rows } = await client.query<Server>(
      `select current_setting('server_version_num')::integer as number,
         current_setting('server_version') as text, pg_is_in_recovery() as "isStandby",
         now() as today`,
    );
    const [server] = rows as [Server];
    const standby = server.isStandby ? [STANDBY] : [];
    const { encoding } = await readEncoding(client);
    const findings = [
      ...standby,
      ...encodingFindings(encoding),
      ...versionFindings(server.number, server.today),
    ];
    return { findings, seen: `PostgreSQL ${server.text}, ${encoding}` };
  },
};

type Server = { number: number; text: string; isStandby: boolean; today: Date };

function encodingFindings(encoding: string): Finding[] {
  const what = `The database has the encoding ${encoding}, but pgwatch needs UTF8.`;
  return encoding === 'UTF8' ? [] : [{ level: 'problem', what, ...UTF8_ONLY }];
}

/** Findings about a release on a day. */
export function versionFindings(number: number, today: Date): Finding[] {
  const [major, minor] = [Math.floor(number / 10_000), number % 10_000];
  if (major < FIRST) {
    return [
      {
        level: 'problem',
        what: `PostgreSQL ${major} is not supported: pgwatch needs ${FIRST} or newer.`,
        why: 'It lacks features that the migrations use, and is not tested.',
        fix: `Upgrade the server to PostgreSQL ${LAST}.`,
      },
    ];
  }
  return [
    ...(major > LAST ? [untested(major)] : []),
    ...endOfLife(major, today),
    ...faultsOf(major, minor).map(({ level, what, fix, fixed }) => ({
      level,
      what: `PostgreSQL ${major}.${minor} has a known bug, fixed in ${fixed}: ${what}.`,
      why: 'Minor releases contain only such fixes, and need no migration of data.',
      fix:
        `Install the newest release of PostgreSQL ${major} and restart the server` +
        `${fix ? `; then ${fix}` : ''}.`,
    })),
  ];
}

function untested(major: number): Finding {
  return {
    level: 'note',
    what:
      `PostgreSQL ${major} is untested: ` +
      `this version of pgwatch is tested with ${FIRST} to ${LAST}.`,
    why: 'This version may not work with what changed in it.',
    fix: 'npm install pgwatch@latest',
  };
}

function endOfLife(major: number, today: Date): Finding[] {
  const end = ENDS[major];
  // The last release comes out on that very day.
  if (end === undefined || today.toISOString().slice(0, 10) <= end) return [];
  return [
    {
      level: 'note',
      what: `PostgreSQL ${major} has been out of support since ${end}.`,
      why: 'It no longer gets bug or security fixes.',
      fix: `Upgrade the server to PostgreSQL ${LAST}.`,
    },
  ];
}

const STANDBY: Finding = {
  level: 'problem',
  what: 'The connection leads to a standby, which is read-only.',
  why:
    'Consumers cannot run there: their positions are saved in the database, ' +
    'and LISTEN does not work.',
  fix:
    'Connect to the primary: name it in DATABASE_URL, ' +
    'or use a proxy that picks it from several hosts.',
};

const [FIRST, LAST] = [14, 18];
/** The last day of support, from postgresql.org/support/versioning. */
const ENDS: Readonly<Record<number, string>> = {
  14: '2026-11-12',
  15: '2027-11-11',
  16: '2028-11-09',
  17: '2029-11-08',
  18: '2030-11-14',
};
