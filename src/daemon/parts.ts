import type { Config } from '../config/define.ts';
import type { Consumer } from '../consumers/define.ts';
import type { PgwatchError } from '../errors.ts';
import { readLeftUndone } from '../log/positions/left-undone.ts';
import type { Brake } from './calls/brake.ts';
import type { Life } from './calls/life.ts';
import { stretchMax } from './calls/transaction/lane.ts';
import type { Control } from './control/control.ts';
import { retryListening } from './control/listening.ts';
import { Membership } from './control/membership.ts';
import { onceError, type Ran } from './once-result.ts';
import { Ownership } from './owned/ownership.ts';
import { retryDue, runRetries } from './owned/retries.ts';
import { ConsumerRunner } from './owned/runner.ts';
import { runLossWarnings, runOriginChecks, runPartitions } from './prepare.ts';
import { runRetention } from './retention.ts';
import type { Inside, Lasting, Setup } from './session-options.ts';
import { SharedRunner } from './shared/runner.ts';
import { runShared, type SharingOptions } from './shared/sharing.ts';
import { Tail } from './tail/tail.ts';

/** What this daemon tells the others about itself. Once it stops, it wants no consumers. */
export function membershipOf(
  { config, consumers, mode }: Setup,
  { daemonId, atWork, meters }: Lasting,
  control: Control,
  stop: AbortSignal,
): Membership {
  const idsOf = (isShared: boolean) =>
    consumers.filter((consumer) => consumer.isShared === isShared).map(({ id }) => id);
  // A run with --once takes only free consumers; none is reserved for it.
  const ids = mode === 'once' ? [] : idsOf(false);
  // A handler of the previous session may hang: daemons that can run its consumer may take it.
  const leaving = new Set(atWork.all);
  const isFree = (id: string) => {
    const entry = atWork.get(id);
    return entry === undefined || !leaving.has(entry);
  };
  const wantedIds = () => (stop.aborted ? [] : ids.filter(isFree));
  const channels = new Map(consumers.map((consumer) => [consumer.id, consumer.channels]));
  const membership = new Membership({
    config,
    control,
    daemonId,
    wantedIds,
    sharedIds: idsOf(true),
    channelsOf: (id) => channels.get(id) ?? [],
    meters,
  });
  for (const { ended } of leaving) void ended.then(() => membership.announce());
  return membership;
}

/** The parts that run until the session ends. */
export function tailing(
  setup: Setup,
  lasting: Lasting,
  inside: Inside,
  signals: { alive: AbortSignal; stop: AbortSignal },
): Promise<void>[] {
  const { config, reporter, readPage } = setup;
  const { atWork } = lasting;
  const { control, pool, channels, rebasedId } = inside;
  const { alive, stop } = signals;
  const tail = new Tail({ config, control, pool, readPage, rebasedId, channels });
  const owning = ownershipOf(setup, lasting, inside).run(alive, stop, (runner, leave) =>
    runner.run(AbortSignal.any([alive, leave]), tail),
  );
  const sharing = runShared(sharingOf(setup, lasting, inside), alive, stop, (runner) =>
    runner.run(alive, tail),
  );
  const retries = runRetries({ config, control, pool, atWork }, alive);
  const listening = retryListening({ config, control, reporter, channels }, alive);
  const upkeep = [runPartitions, runRetention, runOriginChecks, runLossWarnings].map((run) =>
    run({ config, pool, reporter }, alive),
  );
  return [tail.run(alive), owning, sharing, retries, listening, ...upkeep];
}

/**
 * Delivers everything that is visible now, and the retries that are due.
 * @returns handler_failed if something failed or still waits, once everything else is done
 */
export async function runAllOnce(
  setup: Setup,
  lasting: Lasting,
  inside: Inside,
  alive: AbortSignal,
): Promise<PgwatchError | null> {
  const { config, consumers } = setup;
  const { settler, daemonId } = lasting;
  const { pool, control } = inside;
  const ran = new Map<string, Ran>();
  const note = (id: string, { failedCount, brake, life }: Dispatcher, isPaused: boolean) =>
    ran.set(id, {
      failedCount,
      isHalted: brake.isHalted,
      isCutShort: isPaused || life.isFenced,
    });
  await ownershipOf(setup, lasting, inside).runOnce(async (runner, leave) => {
    const { dispatcher } = runner;
    const stop = AbortSignal.any([alive, leave]);
    await runner.runToEnd(stop, async () => {
      do {
        await dispatcher.untilIdle();
        await settler.flush();
      } while (!stop.aborted && (await retryDue([dispatcher], pool, config.schema)) > 0);
    });
    note(dispatcher.consumerId, dispatcher, leave.aborted);
  });
  const sharing = sharingOf(setup, lasting, inside);
  await runShared(sharing, alive, alive, async (runner) => {
    note(runner.consumerId, await runner.runToEnd(alive), runner.isPaused);
  });
  if (alive.aborted) return null;
  const asked = { consumerIds: consumers.map(({ id }) => id), daemonId };
  const left = await control.run((client) => readLeftUndone(client, config.schema, asked));
  return onceError(ran, left);
}

type Dispatcher = { failedCount: number; brake: Brake; life: Life };

function ownershipOf(setup: Setup, lasting: Lasting, inside: Inside): Ownership {
  const { config } = setup;
  const { control } = inside;
  return new Ownership({
    ...setup,
    ...lasting,
    ...inside,
    consumers: setup.consumers.filter(({ isShared }) => !isShared),
    makeRunner: (consumer, owned) => {
      const runnerOptions = {
        ...setup,
        ...lasting,
        ...inside,
        schema: config.schema,
        calling: lasting.callingFor(consumer),
        carefulMax: inHandMax(consumer, config),
        openRowsMax: OPEN_PAGES_MAX * config.maxBatchSize,
        onWaiting: () => control.retries.ring(),
      };
      return new ConsumerRunner(runnerOptions, owned);
    },
  });
}

function sharingOf(setup: Setup, lasting: Lasting, inside: Inside): SharingOptions {
  const { schema } = setup.config;
  return {
    ...setup,
    ...lasting,
    ...inside,
    schema,
    consumers: setup.consumers.filter(({ isShared }) => isShared),
    makeRunner: (consumer) => {
      const calling = lasting.callingFor(consumer);
      return new SharedRunner({ ...setup, ...lasting, ...inside, schema, calling });
    },
  };
}

/** How many unsettled notifications an owner can have in progress when it dies. */
function inHandMax(consumer: Consumer, { maxBatchSize }: Config): number {
  return consumer.isTransactional ? Math.min(maxBatchSize, stretchMax(consumer)) : maxBatchSize;
}

/** How many pages may be read while an earlier notification is still being handled. */
const OPEN_PAGES_MAX = 20;
