import { type Client, escapeIdentifier } from 'pg';
import { planCaptures } from '../../capture/drift.ts';
import { type CaptureState, readCaptureStates } from '../../capture/state.ts';
import { triggerFunction } from '../../capture/table.ts';
import { quotedTable, tableText } from '../../capture/table-name.ts';
import { blindSpots, foreignCastsText, hinderedText } from '../../capture/warnings.ts';
import { PgwatchError } from '../../errors.ts';
import { shellWord } from '../../shell-word.ts';
import type { Check, Context, Finding } from './check.ts';

/** Checks that captured tables are captured as they should be, trigger by trigger. */
export const capture: Check = {
  name: 'capture',
  runs: 'transaction',
  needs: 'schema',
  async run(client, context) {
    const states = await readCaptureStates(client, context.config);
    const findings = [
      ...states.flatMap(lossFindings),
      ...states.flatMap(staleFindings),
      ...states.flatMap(castFindings),
      ...states.flatMap(hinderedFindings),
      ...states.flatMap(blindFindings),
      ...(await findSilent(client, context)),
      ...(await findUnlikeConfig(client, context)),
    ];
    return { findings, seen: `${states.length} captured tables` };
  },
};

function lossFindings({ table, losses }: CaptureState): Finding[] {
  const name = shellWord(tableText(table));
  return losses
    .filter(({ kind }) => kind !== 'partition')
    .map(({ kind, sentence }) => ({
      level: 'problem',
      what: sentence,
      why:
        kind === 'children'
          ? 'Consumers take them for rows of that table.'
          : 'No consumer receives these changes, now or later.',
      fix:
        `pgwatch trigger add ${name}; then publish the existing rows: ` +
        `pgwatch snapshot ${name} --consumer ID`,
    }));
}

function staleFindings({ table, stale }: CaptureState): Finding[] {
  if (stale.length === 0) return [];
  return [
    {
      level: 'problem',
      what: `The capture of ${tableText(table)} no longer fits the table: ${stale.join('; ')}.`,
      why:
        'Its notifications may have wrong keys, lack columns or arrive out of order; ' +
        'writers may become slow or fail.',
      fix:
        `pgwatch trigger sync; or pgwatch trigger add ${shellWord(tableText(table))} ` +
        'with the options that "pgwatch trigger list" shows',
    },
  ];
}

/** Casts that are not used, because they would run with the rights of pgwatch's owner. */
function castFindings({ table }: CaptureState): Finding[] {
  if (table.foreignCasts.length === 0) return [];
  const [what = '', fix = ''] = foreignCastsText(table).split(/(?<=json\.) /);
  const why = "The function of that cast would run with the rights of pgwatch's owner.";
  return [{ level: 'note', what, why, fix }];
}

/** Owners who cannot add partitions to their table. */
function hinderedFindings({ table }: CaptureState): Finding[] {
  const text = hinderedText(table);
  if (text === null) return [];
  const [what = '', fix = ''] = text.split(/(?<=function"\)\.) /);
  const why = 'Without a new partition in time, writers fail: "no partition of relation found".';
  return [{ level: 'problem', what, why, fix }];
}

/** Rows that come or go without firing a trigger. */
function blindFindings({ table }: CaptureState): Finding[] {
  const why = 'Consumers do not receive every row of the table.';
  const name = shellWord(tableText(table));
  return blindSpots(table).map((what) => ({
    level: 'note',
    what,
    why,
    fix:
      'Follow the advice above; then publish the existing rows: ' +
      `pgwatch snapshot ${name} --consumer ID`,
  }));
}

type Silent = {
  schema: string;
  table: string;
  /** The names of the triggers. */
  names: string[];
  enabled: 'D' | 'R';
  isPartition: boolean;
};

/** Triggers that do not fire: disabled, or for replication only. Each partition has its own. */
async function findSilent(client: Client, { config }: Context): Promise<Finding[]> {
  const { rows } = await client.query<Silent>(
    `select n.nspname as schema, c.relname as table, t.tgenabled as enabled,
       t.tgparentid <> 0 as "isPartition", array_agg(t.tgname::text order by t.tgname) as names
     from pg_trigger as t
     join pg_class as c on c.oid = t.tgrelid
     join pg_namespace as n on n.oid = c.relnamespace
     where t.tgfoid = to_regprocedure($1) and t.tgenabled in ('D', 'R')
     group by 1, 2, 3, 4 order by 1, 2, 3, 4`,
    [triggerFunction(config)],
  );
  return rows.map(({ schema, table, names, enabled, isPartition }) => {
    const place = { schema, name: table };
    const quoted = names.map((name) => escapeIdentifier(name));
    const state = enabled === 'D' ? 'are disabled' : 'fire only in replication';
    const enable = quoted.map((name) => `enable trigger ${name}`).join(', ');
    return {
      level: 'problem',
      what:
        `Triggers of ${isPartition ? 'the partition ' : ''}${tableText(place)} ${state}: ` +
        `${quoted.join(', ')}.`,
      why: 'Changes made while they are off are lost to consumers.',
      fix:
        `alter table ${quotedTable(place)} ${enable}; ` +
        'then publish the existing rows: pgwatch snapshot',
    };
  });
}

/** What "pgwatch trigger sync" would do. */
async function findUnlikeConfig(client: Client, { config }: Context): Promise<Finding[]> {
  if (config.triggers === null) return [];
  const fix = 'pgwatch trigger sync';
  try {
    const plans = await planCaptures(client, config, config.triggers);
    return plans.flatMap(({ change: { table, kind, differences } }): Finding[] => {
      const name = tableText(table);
      if (kind === 'unchanged') return [];
      if (kind === 'added') {
        const what = `${name} is in the config, but is not captured.`;
        return [{ level: 'problem', what, why: 'Its changes are not recorded.', fix }];
      }
      const what =
        kind === 'removed'
          ? `${name} is captured, but is not in the config.`
          : `${name} is not captured as the config says: ` +
            `${differences.join('; ') || 'its triggers differ'}.`;
      const why = 'The database differs from the config; sync makes it match.';
      return [{ level: 'note', what, why, fix }];
    });
  } catch (thrown) {
    if (!(thrown instanceof PgwatchError)) throw thrown;
    const what = `The config's triggers do not fit the database: ${thrown.message}`;
    const why = '"pgwatch trigger sync" fails there, and the rest cannot be compared.';
    return [{ level: 'problem', what, why, fix: 'Correct triggers in the config.' }];
  }
}
