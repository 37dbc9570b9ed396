import type { Experiment } from './experiment.ts';
import { apart } from './experiments/apart.ts';
import { blockedLoop } from './experiments/blocked-loop.ts';
import { byHand } from './experiments/by-hand.ts';
import { captureAndSnapshot } from './experiments/capture-and-snapshot.ts';
import { changeSettings } from './experiments/change-settings.ts';
import { clockJumps } from './experiments/clock-jumps.ts';
import { connectionExhaustion } from './experiments/connection-exhaustion.ts';
import { cutCommits } from './experiments/cut-commits.ts';
import { diskFull } from './experiments/disk-full.ts';
import { dumpBesideCleanup } from './experiments/dump-beside-cleanup.ts';
import { freeze } from './experiments/freeze.ts';
import { heldTransactions } from './experiments/held-transactions.ts';
import { highXids } from './experiments/high-xids.ts';
import { joinLeave } from './experiments/join-leave.ts';
import { killAtEveryStep } from './experiments/kill-at-every-step.ts';
import { killDaemon } from './experiments/kill-daemon.ts';
import { killPooler } from './experiments/kill-pooler.ts';
import { killServer } from './experiments/kill-server.ts';
import { lateCommits } from './experiments/late-commits.ts';
import { limits } from './experiments/limits.ts';
import { lostBackends } from './experiments/lost-backends.ts';
import { networkFaults } from './experiments/network-faults.ts';
import { poison } from './experiments/poison.ts';
import { preparedTransactions } from './experiments/prepared-transactions.ts';
import { promoteAsynchronous, promoteSynchronous } from './experiments/promote-standby.ts';
import { terminateBackends } from './experiments/terminate-backends.ts';

/** All experiments, in the order in which they run. */
export const EXPERIMENTS: readonly Experiment[] = [
  lateCommits,
  killDaemon,
  killAtEveryStep,
  killServer,
  terminateBackends,
  changeSettings,
  networkFaults,
  cutCommits,
  heldTransactions,
  freeze,
  joinLeave,
  poison,
  diskFull,
  killPooler,
  promoteSynchronous,
  promoteAsynchronous,
  preparedTransactions,
  highXids,
  limits,
  lostBackends,
  connectionExhaustion,
  blockedLoop,
  byHand,
  clockJumps,
  apart,
  dumpBesideCleanup,
  captureAndSnapshot,
];
