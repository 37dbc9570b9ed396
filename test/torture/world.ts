import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { withConnection } from '../../src/database/connect.ts';
import { type Random, seededRandom } from '../racing/random.ts';
import { type Door, dealDoors, type WorldDoor } from './daemons/doors.ts';
import type { ConsumerSetup, DaemonSetup } from './daemons/setup.ts';
import { SupervisedDaemon } from './daemons/supervised-daemon.ts';
import type { Mutation } from './experiment.ts';
import { RecordWriter } from './history/record.ts';
import { Network } from './network/network.ts';
import type { TortureServer } from './server.ts';
import { runWriters, type WriterOptions } from './writers/writers.ts';

export type WorldOptions = {
  server: TortureServer;
  seed: number;
  /** How its daemons are run. */
  door: WorldDoor;
  /** For how long an experiment harms it. */
  durationMs: number;
  /** What is broken on purpose; null: nothing. */
  mutation: Mutation | null;
};

/** What an experiment has to itself: a database, a folder for the record, daemons, writers. */
export class World {
  readonly server: TortureServer;
  readonly seed: number;
  readonly durationMs: number;
  readonly mutation: Partial<Mutation>;
  readonly isMutant: boolean;
  readonly random: Random;
  /** Contains everything that is recorded. */
  readonly folder = mkdtempSync(join(tmpdir(), 'pgwatch-history-'));
  /** The number of faults, by kind. */
  readonly faults = new Map<string, number>();
  /** What was not delivered by the time it had to be. */
  readonly overdue: string[] = [];
  /** The longest wait of a bystander, if that is measured. */
  latencyMs: number | null = null;
  readonly daemons: SupervisedDaemon[] = [];
  readonly consumers: ConsumerSetup[];
  readonly #database: string;
  readonly #dealDoor: () => Door;
  readonly #networks: Network[] = [];
  readonly #faultRecord: RecordWriter<{ fault: string; atMs: number }>;

  private constructor(options: WorldOptions, database: string) {
    this.server = options.server;
    this.seed = options.seed;
    this.durationMs = options.durationMs;
    this.isMutant = options.mutation !== null;
    this.mutation = options.mutation ?? {};
    this.random = seededRandom(options.seed);
    this.#dealDoor = dealDoors(options.door, seededRandom(options.seed));
    this.#database = database;
    this.consumers = [];
    this.#faultRecord = new RecordWriter(join(this.folder, 'faults.jsonl'));
  }

  static async open(options: WorldOptions): Promise<World> {
    const world = new World(options, await options.server.createDatabase());
    if (world.mutation.sql) await world.query(world.mutation.sql);
    return world;
  }

  /** The connection string of its database, on the current server. */
  get url(): string {
    return this.server.urlOf(this.#database);
  }

  /** Adds a consumer to those that the daemons run. */
  addConsumer(consumer: ConsumerSetup): void {
    const { handler = consumer.handler, options } = this.mutation;
    this.consumers.push({ ...consumer, handler, options: { ...consumer.options, ...options } });
  }

  /** Starts a daemon with the current consumers. */
  addDaemon(differences: () => Partial<DaemonSetup> = () => ({})): SupervisedDaemon {
    const { folder, consumers, mutation } = this;
    const daemon = new SupervisedDaemon(() => {
      const { config, ...others } = differences();
      return {
        url: this.url,
        folder,
        door: this.#dealDoor(),
        consumers,
        ...(mutation.reader ? { reader: mutation.reader } : {}),
        ...(mutation.loop ? { wrongLoop: mutation.loop } : {}),
        ...(mutation.source ? { wrongSource: mutation.source } : {}),
        ...others,
        config: { ...DAEMON_CONFIG, ...config, ...mutation.config },
      };
    });
    this.daemons.push(daemon);
    return daemon;
  }

  /** Writes until the signal aborts. */
  async write(options: Partial<WriterOptions>, stop: AbortSignal): Promise<void> {
    const { url, folder, seed } = this;
    const { writers } = this.mutation;
    await runWriters({ url, folder, seed, ...WRITERS, ...options, ...writers }, stop);
  }

  /** A network in front of the server, closed with the world. */
  async openNetwork(): Promise<Network> {
    const network = await Network.open(this.url, this.random);
    this.#networks.push(network);
    return network;
  }

  /** Counts a fault that was done to it. */
  count(fault: string, times = 1): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + times);
    this.#faultRecord.append({ fault, atMs: Date.now() });
  }

  noteLatency(ms: number): void {
    this.latencyMs = Math.max(this.latencyMs ?? 0, ms);
  }

  async query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    return this.withClient(async (client) => (await client.query(text, values)).rows as Row[]);
  }

  async withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return withConnection({ url: this.url, applicationName: 'torture' }, work);
  }

  async close(folder: 'keep folder' | 'remove folder'): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.abandon()));
    await Promise.all(this.#networks.map((network) => network.close()));
    this.#faultRecord.close();
    await this.server.dropDatabase(this.#database);
    if (folder === 'remove folder') rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Short times, small pages, few connections: much happens within seconds. */
const DAEMON_CONFIG = {
  maxBatchSize: 20,
  poolSize: 6,
  pollInterval: '1s',
  reconnectDelay: '20ms',
  heartbeatInterval: '500ms',
  heartbeatDeadline: '1s',
  shutdownTimeout: '5s',
};
const WRITERS: Omit<WriterOptions, 'url' | 'folder' | 'seed'> = {
  racing: 12,
  retrying: 0,
  keys: 24,
  poison: {},
  belief: 'unknown',
  retryWith: 'its event id',
};
