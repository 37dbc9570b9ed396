import type { Client } from 'pg';
import { withConnection } from '../../database/connect.ts';
import { isPooled, keepsSession, readServing } from '../../database/pooler.ts';
import {
  describeHost,
  describeTarget,
  directTarget,
  isUnverified,
  targetsOf,
  usualTarget,
} from '../../database/target.ts';
import { toError } from '../../errors.ts';
import type { Check, Context, Finding } from './check.ts';

/** Checks for a pooler on the way to the server, and for connections that others can read. */
export const connection: Check = {
  name: 'connection',
  runs: 'connection',
  needs: 'nothing',
  async run(client, context) {
    const { target } = context;
    const isBehind = await isPooled(client);
    const hasSession = !isBehind || (await keepsSession(client, target));
    const { rows } = await client.query<Line>(
      `select coalesce(s.ssl, false) as "isEncrypted",
         host(pg_catalog.inet_server_addr()) as server,
         pg_catalog.inet_client_addr() is not null
           and pg_catalog.inet_client_addr() <> pg_catalog.inet_server_addr() as "isRemote"
       from pg_catalog.pg_stat_ssl as s where s.pid = pg_catalog.pg_backend_pid()`,
    );
    const findings = [
      ...(hasSession ? [] : [noSession(context)]),
      ...(await findOther(context)),
      ...unverified(context),
      ...(isBehind ? [] : lineFindings(rows[0])),
    ];
    const pooler = isBehind
      ? `, through a pooler that ${hasSession ? 'keeps' : 'shares'} sessions`
      : '';
    return { findings, seen: `${describeTarget(target)}${pooler}` };
  },
};

export type Line = { isEncrypted: boolean; server: string | null; isRemote: boolean };

/** Findings about the connection to the server itself. */
export function lineFindings(line: Line | undefined): Finding[] {
  if (!line || line.isEncrypted || !line.isRemote) return [];
  return [
    {
      level: 'note',
      what: `The connection to ${line.server ?? 'the server'} is not encrypted.`,
      why:
        'Anyone on the network path can read and change what is published, ' +
        'and sees the password or its proof.',
      fix:
        "Set tls: 'verify' in the config, or sslmode=verify-full in the connection string, " +
        'unless the network is your own.',
    },
  ];
}

function noSession({ config }: Context): Finding {
  const isDirect = config.directUrl !== null;
  const host = describeHost(directTarget(config));
  return {
    level: 'problem',
    what:
      `${host} is a transaction pooler` +
      `${isDirect ? ', and directUrl leads to it' : ', and directUrl is not set'}.`,
    why:
      'LISTEN and session locks do not work there: notifications wait for the next poll, ' +
      'a dead daemon is noticed late, and all commands except listen, notify and doctor ' +
      'refuse to run.',
    fix:
      'Set directUrl in the config, or PGWATCH_DIRECT_URL, to a connection string that ' +
      `${isDirect ? 'really bypasses' : 'bypasses'} the pooler.`,
  };
}

/** url and directUrl have to lead to the same database. */
async function findOther({ config, target }: Context): Promise<Finding[]> {
  if (config.directUrl === null) return [];
  const identify = async (client: Client) => (await readServing(client)).place;
  const direct = await withConnection(target, identify);
  const other = await withConnection(usualTarget(config), identify).catch((thrown: unknown) =>
    toError(thrown),
  );
  if (other === direct) return [];
  return [
    other instanceof Error
      ? {
          level: 'problem',
          what: `directUrl works, but url does not: ${other.message}`,
          why: 'Daemons read the log and run handlers through url.',
          fix: 'Correct url in the config, or DATABASE_URL.',
        }
      : {
          level: 'problem',
          what: 'url and directUrl lead to different databases.',
          why:
            'A daemon listens in one and reads in the other: ' +
            'nothing wakes it, and its locks protect nothing.',
          fix: 'Make both name the same database on the same server.',
        },
  ];
}

function unverified({ config }: Context): Finding[] {
  return targetsOf(config)
    .filter(isUnverified)
    .map((each) => ({
      level: 'problem',
      what: `The certificate of ${describeHost(each)} is not verified.`,
      why:
        'Anyone on the network path can pose as the server, ' +
        'read the password or its proof, and change everything.',
      fix:
        'Remove no-verify from tls or sslmode, ' +
        'and name your own certificate authority with sslrootcert.',
    }));
}
