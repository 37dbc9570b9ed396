import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { loadConfig } from '../../src/config/load.ts';
import { connect, withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { type EmbeddedServer, startEmbedded } from '../../src/embedded/server.ts';
import { until } from '../helpers/wait.ts';
import type { SmallDisk } from './disk.ts';
import { TORTURE_SCHEMA } from './schema-sql.ts';
import { type Replication, Standby } from './standby.ts';

/** A PostgreSQL server of our own that may be killed. Each round has its own database in it. */
export class TortureServer {
  /** The disk of its data, if that can be filled. */
  readonly disk: SmallDisk | null;
  readonly #start: Start;
  #folder: string;
  #server: EmbeddedServer;
  #databases = 0;
  #standbys = 0;

  private constructor(folder: string, server: EmbeddedServer, start: Start) {
    this.disk = start.disk;
    this.#start = start;
    this.#folder = folder;
    this.#server = server;
  }

  /**
   * Starts it in a folder, by default a new one, with those binaries, and makes the template of the
   * databases.
   */
  static async start(
    folder = mkdtempSync(join(tmpdir(), 'pgwatch-torture-')),
    binaries = process.env.PGWATCH_TEST_BINARIES,
    settings: Record<string, string> = {},
  ): Promise<TortureServer> {
    return TortureServer.#open(folder, { disk: null, binaries, settings });
  }

  /** Starts it on a small disk, which is unmounted once it stops. */
  static async startOn(disk: SmallDisk): Promise<TortureServer> {
    try {
      const binaries = process.env.PGWATCH_TEST_BINARIES;
      return await TortureServer.#open(join(disk.folder, 'server'), {
        disk,
        binaries,
        settings: SMALL,
      });
    } catch (thrown) {
      disk.unmount();
      throw thrown;
    }
  }

  static async #open(folder: string, start: Start): Promise<TortureServer> {
    const server = await startEmbedded({ folder, port: randomPort(), ...optionsFor(start) });
    const torture = new TortureServer(folder, server, start);
    await torture.#administer((client) => client.query(`create database ${TEMPLATE}`));
    const config = await loadConfig({ flags: { url: torture.urlOf(TEMPLATE) }, environment: {} });
    await withConnection(config, async (client) => {
      await migrateUp(client, config);
      await client.query(TORTURE_SCHEMA);
    });
    return torture;
  }

  urlOf(database: string): string {
    const url = new URL(this.#server.url);
    url.pathname = `/${database}`;
    return url.href;
  }

  /** Clones the template. Returns the name. */
  async createDatabase(): Promise<string> {
    const name = `round_${++this.#databases}`;
    await this.#administer((client) =>
      client.query(`create database ${name} template ${TEMPLATE}`),
    );
    return name;
  }

  /** Creates an empty database. Returns the name. */
  async createEmptyDatabase(): Promise<string> {
    const name = `round_${++this.#databases}`;
    await this.#administer((client) => client.query(`create database ${name} template template0`));
    return name;
  }

  async dropDatabase(name: string): Promise<void> {
    await this.#administer((client) => client.query(`drop database ${name} with (force)`));
  }

  /**
   * Kills (-9) processes of the server and starts it again: its main process alone, all of them at
   * once, or one that serves a connection, after which the server restarts by itself.
   */
  async crash(what: 'postmaster' | 'everything' | 'backend', downMs: number): Promise<void> {
    if (what === 'backend') return this.#crashBackend();
    const pids = await this.#processes();
    kill(this.#server.pid);
    if (what === 'everything') for (const { pid } of pids) kill(pid);
    await delay(downMs);
    await this.#restart();
  }

  /** Waits until the server has noticed, which ends all connections, and has recovered. */
  async #crashBackend(): Promise<void> {
    const witness = await connect({ url: this.#server.url });
    witness.on('error', () => {});
    const ended = new Promise((resolve) => witness.once('end', resolve));
    const { rows } = await witness.query(
      `select pid from pg_stat_activity where backend_type = 'client backend'
       order by pid = pg_backend_pid() limit 1`,
    );
    kill(rows[0].pid);
    await ended;
    await this.ensureRunning();
  }

  /** Adds a server that follows this one. */
  async addStandby(replication: Replication): Promise<Standby> {
    const folder = `${this.#folder}-standby-${++this.#standbys}`;
    const start = { port: randomPort(), ...this.#startOptions() };
    return Standby.of(this.#server, folder, start, replication);
  }

  /** Kills (-9) all processes of the server, and replaces it with the standby. */
  async failOver(standby: Standby): Promise<void> {
    const lost = this.#server;
    const pids = await this.#processes();
    kill(lost.pid);
    for (const { pid } of pids) kill(pid);
    await standby.promote();
    this.#removeFolders();
    this.#server = standby.server;
    this.#folder = standby.server.folder;
  }

  /**
   * Makes the server write WAL until there is no room, at which it goes down.
   * @returns false if it did not
   */
  async exhaustLog(): Promise<boolean> {
    try {
      await this.#administer(async (client) => {
        for (let n = 0; n < LOG_FILES_MAX; n++) {
          await client.query(`select pg_logical_emit_message(false, '', 'x'), pg_switch_wal()`);
        }
      });
      return false;
    } catch {
      return true;
    }
  }

  /** Starts it again if it is down, or about to be. */
  async ensureRunning(): Promise<void> {
    await until(
      'the server answers',
      async () => {
        if (!isAlive(this.#server.pid)) await this.#restart();
        return this.#administer(() => Promise.resolve(true)).catch(String);
      },
      30_000,
    );
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    this.disk?.unmount();
    this.#removeFolders();
  }

  #startOptions() {
    return optionsFor(this.#start);
  }

  #removeFolders(): void {
    for (const folder of [this.#folder, this.#server.folder]) {
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    }
  }

  async #processes(): Promise<{ pid: number; backend_type: string }[]> {
    return this.#administer(async (client) => {
      const { rows } = await client.query('select pid, backend_type from pg_stat_activity');
      return rows;
    });
  }

  /** The dead server's processes may take a moment to notice, and to release its memory. */
  async #restart(): Promise<void> {
    const { url } = this.#server;
    for (let attempt = 1; ; attempt++) {
      try {
        const port = Number(new URL(url).port);
        this.#server = await startEmbedded({
          folder: this.#folder,
          port,
          ...this.#startOptions(),
        });
        assert.equal(this.#server.url, url, 'another program has taken the port of the server');
        return;
      } catch (thrown) {
        if (attempt === RESTART_ATTEMPTS) throw thrown;
        await delay(200);
      }
    }
  }

  async #administer<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return withConnection({ url: this.#server.url }, work);
  }
}

/**
 * Below the ports that the system assigns to connections, which could take it while the server is
 * down.
 */
function randomPort(): number {
  return 20_000 + Math.floor(Math.random() * 10_000);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function kill(pid: number | undefined): void {
  try {
    if (pid) process.kill(pid, 'SIGKILL');
  } catch {
    // It has already ended.
  }
}

/** What a server runs on. */
type Start = {
  disk: SmallDisk | null;
  binaries: string | undefined;
  settings: Record<string, string>;
};

// Without fsync a killed server loses nothing that it has written: the system still has it.
const SETTINGS = { fsync: 'off', max_connections: '200', max_prepared_transactions: '50' };
/** On a small disk WAL must be small, too. */
const SMALL = { max_wal_size: '48MB', min_wal_size: '32MB' };

function optionsFor({ binaries, settings }: Start) {
  return { binaries, settings: { ...SETTINGS, ...settings } };
}

const LOG_FILES_MAX = 8;
const RESTART_ATTEMPTS = 20;
const TEMPLATE = 'torture_template';
