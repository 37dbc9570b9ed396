import { escapeIdentifier } from 'pg';
import { ASKING, EXACT, SHARED } from '../consumers.ts';
import { SETTINGS_AS_THEY_COME } from '../daemons/wrong-readers.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import type { World } from '../world.ts';

/** The default settings of sessions change midway, for connections made from then on. */
export const changeSettings: Experiment = {
  name: 'change-settings',
  async run(world) {
    const deal = makeDeck(world.random, SETTINGS);
    try {
      await underLoad(world, {
        consumers: [ASKING, EXACT, SHARED],
        harm: (signal) => repeatedly(world, [100, 400], signal, () => change(world, deal())),
      });
    } finally {
      await world.query(`alter database ${await nameOf(world)} reset all`);
    }
  },
  mutants: {
    'ids are read as floating-point numbers, in the format of the session': {
      reader: SETTINGS_AS_THEY_COME,
      shows: ['lost', 'phantom'],
    },
  },
};

async function change(world: World, setting: string): Promise<void> {
  await world.query(`alter database ${await nameOf(world)} set ${setting}`);
  await world.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like 'pgwatch%'`,
  );
  world.count('alter database set');
}

async function nameOf(world: World): Promise<string> {
  const [row] = await world.query<{ name: string }>('select current_database()::text as name');
  return escapeIdentifier(row?.name ?? '');
}

const SETTINGS = [
  'array_nulls = off',
  `bytea_output = 'escape'`,
  `datestyle = 'German, DMY'`,
  `datestyle = 'SQL, DMY'`,
  `default_transaction_isolation = 'serializable'`,
  'extra_float_digits = 0',
  'extra_float_digits = -14',
  'extra_float_digits = -15',
  `idle_session_timeout = '200ms'`,
  `intervalstyle = 'sql_standard'`,
  `lock_timeout = '20ms'`,
  'quote_all_identifiers = on',
  `search_path = ''`,
  `statement_timeout = '500ms'`,
  `timezone = 'Asia/Kolkata'`,
  'transform_null_equals = on',
];
