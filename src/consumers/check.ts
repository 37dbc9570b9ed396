import { basename, dirname, relative, sep } from 'node:path';
import { name, shown, wholeNumber } from '../kinds.ts';
import { consumerChannel } from '../log/channels.ts';
import type { Notification } from '../log/notification.ts';
import type { From } from '../log/positions/progress.ts';
import { suggest } from '../suggest.ts';
import { surrounded } from './around.ts';
import { checkDelivery } from './check-delivery.ts';
import { checked } from './checked.ts';
import type { Around, Consumer, ConsumerContext, ConsumerDefinition } from './define.ts';

/**
 * Checks the export of a consumer file and adds the defaults.
 * @param folder the consumers folder, whose sub-folders are the apps
 * @throws Error that says what is wrong, to be shown after the file's name
 */
export function checkConsumer(exported: unknown, file: string, folder: string): Consumer {
  if (typeof exported !== 'object' || exported === null) {
    throw new Error(
      'it has no default export made by defineConsumer({ … }).' +
        ' If it is not a consumer, start its name with "_"',
    );
  }
  const app = relative(folder, dirname(file)).split(sep)[0] || null;
  const id = basename(file).replace(/\.m?[jt]s$/, '');
  return checkDefinition({ id, ...exported }, { app, file });
}

/**
 * Checks the definition of a consumer and adds the defaults.
 * @throws Error that says what is wrong, to be shown after the name of its place
 */
export function checkDefinition(
  given: object,
  { app, file }: Pick<Consumer, 'app' | 'file'> = { app: null, file: null },
): Consumer {
  for (const name of Object.keys(given)) {
    if (!OPTIONS.includes(name))
      throw new Error(`it has an unknown option "${name}".${suggest(name, OPTIONS)}`);
  }
  const definition = given as ConsumerDefinition & { handle?: unknown; handleBatch?: unknown };
  const { id } = definition;
  if (typeof id !== 'string' || !/^[\w.:-]{1,100}$/.test(id)) {
    throw new Error(`id must be 1 to 100 letters, digits, ".", ":", "_" or "-", not ${shown(id)}`);
  }
  const consumer: Consumer = Object.freeze({
    id,
    channels: checkChannels(definition.channels, [consumerChannel(id)]),
    from: checkFrom(definition.from ?? 'start'),
    // A computed Date differs with each start.
    fromText: definition.from instanceof Date ? 'a Date' : String(definition.from ?? 'start'),
    app,
    file,
    ...checkDelivery(definition, definition.handleBatch !== undefined),
    ...checkHandler(definition),
    onGap: checkOnGap(definition),
  });
  return surrounded(consumer, checkAround(definition));
}

/**
 * The channels, without duplicates.
 * @param own channels to add
 * @throws Error that says what they must be
 */
export function checkChannels(channels: unknown, own: readonly string[] = []): readonly string[] {
  if (!Array.isArray(channels) || channels.length === 0) {
    throw new Error("channels must be a list of at least one channel, like ['orders']");
  }
  for (const channel of channels) checked('a channel', name, channel);
  return Object.freeze([...new Set([...(channels as string[]), ...own])]);
}

/**
 * Where to begin.
 * @throws Error that says what it must be
 */
export function checkFrom(from: unknown): From {
  if (from === 'start' || from === 'now') return from;
  if (typeof from === 'number' && Number.isSafeInteger(from) && from >= 0) return from;
  const time = from instanceof Date || typeof from === 'string' ? new Date(from) : undefined;
  if (time && !Number.isNaN(time.getTime())) return time;
  throw new Error(
    `from must be 'start', 'now', a notification's id, or a time, not ${shown(from)}`,
  );
}

type Handle = (notification: Notification, context: ConsumerContext) => unknown;

function checkHandler(definition: {
  handle?: unknown;
  handleBatch?: unknown;
  batchSize?: unknown;
}): Pick<Consumer, 'isBatch' | 'batchSize' | 'handleBatch'> {
  const { handle, handleBatch, batchSize = null } = definition;
  if ((typeof handle === 'function') === (typeof handleBatch === 'function')) {
    throw new Error('it needs a function handle or handleBatch, but not both');
  }
  if (typeof handle === 'function') {
    if (batchSize !== null) throw new Error('batchSize requires handleBatch');
    const call = handle.bind(definition) as Handle;
    return {
      isBatch: false,
      batchSize: 1,
      handleBatch: ([only], context) => call(only as Notification, context),
    };
  }
  return {
    isBatch: true,
    batchSize: batchSize === null ? null : checked('batchSize', wholeNumber(1), batchSize),
    handleBatch: (handleBatch as Consumer['handleBatch']).bind(definition),
  };
}

function checkOnGap(definition: ConsumerDefinition): Consumer['onGap'] {
  const { onGap = null } = definition;
  if (onGap === null) return null;
  if (typeof onGap !== 'function') throw new Error('onGap must be a function');
  return onGap.bind(definition);
}

function checkAround(definition: ConsumerDefinition): Around | null {
  const { around = null } = definition;
  if (around !== null && typeof around !== 'function') throw new Error('around must be a function');
  return around?.bind(definition) ?? null;
}

/** The options that a consumer has whichever way it is run. */
export const COMMON_OPTIONS = [
  'channels',
  'from',
  'order',
  'concurrency',
  'retry',
  'timeout',
  'onDead',
  'transaction',
  'instances',
  'schema',
  'onGap',
] as const;

const OPTIONS: readonly string[] = [
  'id',
  ...COMMON_OPTIONS,
  'around',
  'handle',
  'handleBatch',
  'batchSize',
];
