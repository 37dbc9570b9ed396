import { advisory } from './advisory.ts';
import { capacity } from './capacity.ts';
import { capture } from './capture.ts';
import type { Check } from './check.ts';
import { clock } from './clock.ts';
import { cluster } from './cluster.ts';
import { connection } from './connection.ts';
import { consumerFiles } from './consumer-files.ts';
import { consumers } from './consumers.ts';
import { daemons } from './daemons.ts';
import { drift } from './drift.ts';
import { listen } from './listen.ts';
import { locks } from './locks.ts';
import { logSize } from './log-size.ts';
import { overrides } from './overrides.ts';
import { partitions } from './partitions.ts';
import { privileges } from './privileges.ts';
import { queue } from './queue.ts';
import { schema } from './schema.ts';
import { settings } from './settings.ts';
import { timeouts } from './timeouts.ts';
import { transactions } from './transactions.ts';
import { vacuum } from './vacuum.ts';
import { version } from './version.ts';

/** All checks, in the order in which they are shown: from the server to the consumers. */
export const CHECKS: readonly Check[] = [
  version,
  connection,
  listen,
  clock,
  settings,
  timeouts,
  overrides,
  capacity,
  locks,
  schema,
  advisory,
  drift,
  privileges,
  cluster,
  capture,
  queue,
  transactions,
  vacuum,
  partitions,
  logSize,
  consumerFiles,
  consumers,
  daemons,
];
