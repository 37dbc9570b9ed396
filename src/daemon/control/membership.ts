import { hostname } from 'node:os';
import type { Config } from '../../config/define.ts';
import type { DaemonActivity } from '../../log/positions/activity.ts';
import { beat, removeDaemon, tellDaemons } from '../../log/positions/daemons.ts';
import { sleep } from '../../time.ts';
import { readVersion } from '../../version.ts';
import type { Meter } from '../calls/meter.ts';
import type { Control } from './control.ts';

export type MembershipOptions = {
  config: Config;
  control: Control;
  /** Identifies this process; the same in all its sessions. */
  daemonId: string;
  /** The consumers that it can own now. */
  wantedIds(): readonly string[];
  /** The consumers that it shares. */
  sharedIds: readonly string[];
  /** The channels that its version of a consumer reads. */
  channelsOf(consumerId: string): readonly string[];
  /** The meters of the consumers that it runs, or has run. */
  meters: ReadonlyMap<string, Meter>;
};

/** Tells the other daemons that this one is alive, and what it wants to run. */
export class Membership {
  readonly #options: MembershipOptions;
  /** The states of its consumers in the last heartbeat. */
  #toldStates = '';

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  async join(): Promise<void> {
    const { control, config } = this.#options;
    await this.#beat();
    await control.run((client) => tellDaemons(client, config.schema, 'owners'));
  }

  /**
   * Sends heartbeats until the signal aborts; an early one if the state of a consumer has changed.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { heartbeatIntervalMs } = this.#options.config;
    let dueAt = performance.now() + heartbeatIntervalMs;
    while (!signal.aborted) {
      await sleep(Math.min(STATES_MS, Math.max(0, dueAt - performance.now())), signal);
      if (signal.aborted) return;
      if (performance.now() < dueAt && this.#readStates() === this.#toldStates) continue;
      await this.#beat();
      dueAt = performance.now() + heartbeatIntervalMs;
    }
  }

  /** Tells the other daemons that the consumers it wants have changed. */
  async announce(): Promise<void> {
    // If this fails, the heartbeat ends the session too.
    if (!this.#options.control.isClosed) await this.join().catch(() => {});
  }

  async leave(): Promise<void> {
    const { control, config, daemonId } = this.#options;
    if (control.isClosed) return;
    await control.run(async (client) => {
      await removeDaemon(client, config.schema, daemonId);
      await tellDaemons(client, config.schema, 'owners');
    });
  }

  async #beat(): Promise<void> {
    const { control, config, daemonId, wantedIds, sharedIds, channelsOf } = this.#options;
    const consumerIds = wantedIds();
    const channels = [...consumerIds, ...sharedIds].map((id) => [id, channelsOf(id)]);
    const daemon = {
      daemonId,
      host: hostname(),
      pid: process.pid,
      consumerIds,
      sharedIds,
      channels: Object.fromEntries(channels),
      hasLock: control.hasSession,
      aliveMs: BEATS_MISSED * config.heartbeatIntervalMs,
      activity: this.#readActivity(),
    };
    this.#toldStates = this.#readStates();
    await control.run((client) => beat(client, config.schema, daemon));
  }

  #readStates(): string {
    return [...this.#options.meters.values()].map(({ state }) => state).join();
  }

  #readActivity(): DaemonActivity {
    const { control, config, meters } = this.#options;
    const consumers = [...meters].flatMap(([id, meter]) => {
      const activity = meter.read();
      return activity ? [[id, activity]] : [];
    });
    return {
      version: VERSION,
      mode: control.isListening ? 'doorbell' : 'poll',
      pollMs: config.pollIntervalMs,
      consumers: Object.fromEntries(consumers),
    };
  }
}

/** How often it checks for changed states, so that status displays are current. */
const STATES_MS = 1000;
const VERSION = readVersion();
/** A daemon that has missed this many heartbeats counts as dead, whatever locks it holds. */
const BEATS_MISSED = 3;
