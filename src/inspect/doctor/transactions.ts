import type { Client } from 'pg';
import { formatDuration } from '../../time.ts';
import { countOf } from '../../words.ts';
import type { Check, Context, Finding } from './check.ts';
import type { ServerLimits } from './limits.ts';
import { readSessions, type Session, sessionText } from './sessions.ts';

/** Finds transactions and prepared transactions that stay open, and unused replication slots. */
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

/** Without pg_read_all_stats, a role sees only that sessions of other roles exist. */
async function countHidden(client: Client): Promise<number> {
  const { rows } = await client.query<{ hidden: number }>(
    `select count(*)::integer as hidden from pg_stat_activity
     where backend_type is null and usesysid is not null`,
  );
  return rows[0]?.hidden ?? 0;
}

/** Findings about the transaction of a session. */
export function sessionFindings(session: Session, limits: ServerLimits): Finding[] {
  const { openMs, pid, state } = session;
  if (openMs < limits.transactionNoteMs) return [];
  const isIdle = state?.startsWith('idle in transaction') ?? false;
  return [
    {
      level: openMs < limits.transactionProblemMs ? 'note' : 'problem',
      what: `A transaction stays open: ${sessionText(session)}.`,
      why: OPEN_WHY,
      fix: `select pg_terminate_backend(${pid});${isIdle ? IDLE_FIX : ''}`,
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
        what:
          `The prepared transaction ${quoted} of ${owner} in database "${database}" ` +
          `has been pending for ${formatDuration(openMs)}.`,
        why: `${OPEN_WHY} It survives a restart of the server.`,
        fix:
          `Check with ${owner}, then in that database: commit prepared ${quoted}; ` +
          `or: rollback prepared ${quoted};`,
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
    what:
      `The replication slot "${name}" is unused, and holds vacuum back ` +
      `by ${xids.toLocaleString('en')} transactions.`,
    why:
      'Dead rows of catalogs, and with xmin those of all tables, cannot be removed, ' +
      'and write-ahead log accumulates until the disk is full.',
    fix: `Start its subscriber or standby, or: select pg_drop_replication_slot('${name}');`,
  }));
}

function unseen(hidden: number): Finding {
  return {
    level: 'note',
    what: `This role cannot see what ${countOf(hidden, 'session')} of other roles are doing.`,
    why: 'A transaction that one of them holds open for hours goes unnoticed.',
    fix: 'grant pg_read_all_stats to the role that runs "pgwatch doctor".',
  };
}

const OPEN_WHY =
  'Consumers receive what it publishes only after it commits. ' +
  'Until then vacuum cannot remove rows that died later, so busy tables grow.';

const IDLE_FIX = " To prevent it: alter role … set idle_in_transaction_session_timeout = '5min';";
