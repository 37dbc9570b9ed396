import type { Client } from 'pg';
import { formatDuration } from '../../time.ts';
import type { Check, Context, Finding } from './check.ts';
import type { ServerLimits } from './limits.ts';
import { readSessions, type Session, sessionText } from './sessions.ts';

/**
 * What has been open for long: transactions, prepared ones, and replication slots that nobody
 * reads.
 */
export const transactions: Check = {
  name: 'transactions',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, context) {
    const sessions = await readSessions(client);
    const hidden = await countHidden(client);
    const findings = [
      ...sessions.flatMap((session) => sessionFindings(session, context.limits)),
      ...(await findPrepared(client, context)),
      ...(await findSlots(client, context)),
      ...(hidden > 0 ? [unseen(hidden)] : []),
    ];
    const [oldest] = sessions;
    const seen = oldest ? `the oldest open for ${formatDuration(oldest.openMs)}` : 'none open';
    return { findings, seen };
  },
};

/** Of others' sessions a role without pg_read_all_stats sees that they are there, and no more. */
async function countHidden(client: Client): Promise<number> {
  const { rows } = await client.query<{ hidden: number }>(
    `select count(*)::integer as hidden from pg_stat_activity
     where backend_type is null and usesysid is not null`,
  );
  return rows[0]?.hidden ?? 0;
}

/** What is to be said of a session's transaction. */
export function sessionFindings(session: Session, limits: ServerLimits): Finding[] {
  const { openMs, pid, state } = session;
  if (openMs < limits.transactionNoteMs) return [];
  const isIdle = state?.startsWith('idle in transaction') ?? false;
  return [
    {
      level: openMs < limits.transactionProblemMs ? 'note' : 'problem',
      what: `A transaction stays open: ${sessionText(session)}.`,
      why: OPEN_WHY,
      fix: `select pg_terminate_backend(${pid});${isIdle ? " and, for those to come: alter role … set idle_in_transaction_session_timeout = '5min';" : ''}`,
    },
  ];
}

async function findPrepared(client: Client, { limits }: Context): Promise<Finding[]> {
  const { rows } = await client.query<Prepared>(
    `select gid, owner::text, database::text,
       extract(epoch from clock_timestamp() - prepared)::float8 * 1000 as "openMs"
     from pg_prepared_xacts order by prepared limit 10`,
  );
  return rows.flatMap(({ gid, owner, database, openMs }) => {
    if (openMs < limits.transactionNoteMs) return [];
    const quoted = `'${gid.replaceAll("'", "''")}'`;
    return [
      {
        level: openMs < limits.transactionProblemMs ? ('note' as const) : ('problem' as const),
        what: `The prepared transaction ${quoted} of ${owner} in database "${database}" has waited for ${formatDuration(openMs)}.`,
        why: `${OPEN_WHY} It survives a restart of the server.`,
        fix: `Ask whoever prepared it, then in that database: commit prepared ${quoted}; or: rollback prepared ${quoted};`,
      },
    ];
  });
}

type Prepared = { gid: string; owner: string; database: string; openMs: number };

async function findSlots(client: Client, { limits }: Context): Promise<Finding[]> {
  const { rows } = await client.query<{ name: string; xids: number }>(
    `select slot_name::text as name, greatest(age(xmin), age(catalog_xmin))::integer as xids
     from pg_replication_slots
     where not active and greatest(age(xmin), age(catalog_xmin)) >= $1
     order by 2 desc`,
    [limits.slotXids],
  );
  return rows.map(({ name, xids }) => ({
    level: 'problem',
    what: `The replication slot "${name}", which nobody uses, holds vacuum back by ${xids.toLocaleString('en')} transactions.`,
    why: 'Dead rows of catalogs, and with xmin of every table, stay, and write-ahead log piles up until the disk is full.',
    fix: `Start what reads it, or: select pg_drop_replication_slot('${name}');`,
  }));
}

function unseen(hidden: number): Finding {
  return {
    level: 'note',
    what: `Of ${hidden} sessions of other roles this role cannot see what they do.`,
    why: 'A transaction that one of them holds open for hours goes unnoticed here.',
    fix: 'grant pg_read_all_stats to the role that runs "pgwatch doctor".',
  };
}

const OPEN_WHY =
  'Consumers get what it publishes when it commits, and no sooner; until then vacuum removes nothing that is newer, so that tables which change a lot grow.';
