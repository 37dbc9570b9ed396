import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { withConnection } from '../../src/database/connect.ts';
import { serverUser } from '../../src/embedded/binaries.ts';
import { type EmbeddedServer, startEmbedded } from '../../src/embedded/server.ts';
import { until } from '../helpers/wait.ts';

/** How a primary's commits relate to its standby: they wait for it, or run ahead of it. */
export type Replication = 'synchronous' | 'asynchronous';

/**
 * A physical standby: a copy of a running server that follows it until it is promoted. It is copied
 * with the low-level backup functions, because the embedded PostgreSQL has no pg_basebackup.
 */
export class Standby {
  readonly server: EmbeddedServer;

  private constructor(server: EmbeddedServer) {
    this.server = server;
  }

  /**
   * Makes a standby of a server in a folder of its own and waits until it has everything that was
   * acknowledged before.
   */
  static async of(
    primary: EmbeddedServer,
    folder: string,
    start: { binaries: string | undefined; port: number; settings: Record<string, string> },
    replication: Replication,
  ): Promise<Standby> {
    await withConnection({ url: primary.url }, async (client) => {
      await client.query(`alter system set wal_keep_size = '512MB'`);
      await client.query('alter system reset synchronous_standby_names');
      await client.query('select pg_reload_conf()');
      await copyData(client, primary.folder, folder);
    });
    followSettings(join(folder, 'data'), primary.url);
    const standby = new Standby(await startEmbedded({ ...start, folder }));
    await withConnection({ url: primary.url }, async (client) => {
      if (replication === 'synchronous') {
        await client.query(`alter system set synchronous_standby_names = '*'`);
        await client.query('select pg_reload_conf()');
      }
      const wanted = replication === 'synchronous' ? 'sync' : 'async';
      const { rows } = await client.query('select pg_current_wal_lsn() as lsn');
      await until('the standby follows', async () => {
        const states = await client.query(
          `select state, sync_state, flush_lsn >= $1 as is_close from pg_stat_replication`,
          [rows[0].lsn],
        );
        const [state] = states.rows;
        const follows = state?.state === 'streaming' && state.sync_state === wanted;
        return (follows && state.is_close === true) || JSON.stringify(states.rows);
      });
    });
    return standby;
  }

  /** Cuts it off from its primary: it does not get what the primary commits from now on. */
  async detach(): Promise<void> {
    await this.#withClient(async (client) => {
      await client.query(`alter system set primary_conninfo = ''`);
      await client.query('select pg_reload_conf()');
      await until('the standby is cut off', async () => {
        const { rows } = await client.query('select from pg_stat_wal_receiver');
        return rows.length === 0;
      });
    });
  }

  /** Makes it a primary. */
  async promote(): Promise<void> {
    await this.#withClient((client) => client.query('select pg_promote(true, 30)'));
  }

  #withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return withConnection({ url: this.server.url }, work);
  }
}

/**
 * Copies the data of a running server, except what belongs to its process or is streamed.
 * PostgreSQL 15 has renamed the functions.
 */
async function copyData(client: Client, from: string, to: string): Promise<void> {
  const [source, target] = [join(from, 'data'), join(to, 'data')];
  const { rows: versions } = await client.query(`
    select current_setting('server_version_num')::int < 150000 as is_old`);
  const [start, stop] = versions[0].is_old
    ? [`pg_start_backup('standby', true, false)`, 'pg_stop_backup(false)']
    : [`pg_backup_start('standby', true)`, 'pg_backup_stop(false)'];
  await client.query(`select ${start}`);
  rmSync(to, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const entries = readdirSync(source).filter((name) => !LEFT_OUT.has(name));
  // Temporary files may vanish meanwhile, which cp reports and a standby does not need.
  spawnSync('cp', ['-a', ...entries.map((name) => join(source, name)), target]);
  for (const name of ['pg_wal/archive_status', 'pg_wal/summaries', 'pg_replslot']) {
    mkdirSync(join(target, name), { recursive: true });
  }
  const { rows } = await client.query(`select labelfile from ${stop}`);
  writeFileSync(join(target, 'backup_label'), rows[0].labelfile);
}

/** Replaces all settings copied from the primary with those of a standby. */
function followSettings(data: string, primaryUrl: string): void {
  const { hostname, port, username, password } = new URL(primaryUrl);
  const conninfo = `host=${hostname} port=${port} user=${username} password=${password}`;
  writeFileSync(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  writeFileSync(join(data, 'standby.signal'), '');
  const { uid, gid } = serverUser();
  execFileSync('chmod', ['700', data]);
  if (uid !== undefined) execFileSync('chown', ['-R', `${uid}:${gid ?? uid}`, data]);
}

const LEFT_OUT = new Set([
  'pg_wal',
  'pg_replslot',
  'postmaster.pid',
  'postmaster.opts',
  'postgresql.auto.conf',
]);
