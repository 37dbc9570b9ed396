import type { Config } from '../../config/define.ts';
import { STANDSTILL_MAX } from '../../database/transaction.ts';
import { LOG_PLANS } from '../../log/plans.ts';

/** The options of a pool whose connections read the log, and save positions. */
export function logSessions(config: Config) {
  return {
    settings: {
      ...LOG_PLANS,
      // A transaction left idle while it settles would keep other daemons from taking over.
      idle_in_transaction_session_timeout: STANDSTILL_MAX,
    },
    deadlineMs: answerMsMax(config),
  };
}

/**
 * How long the server may take for pgwatch's own work: a page is a bounded amount, but on a cold
 * disk it may take longer than a heartbeat.
 */
export function answerMsMax({ heartbeatDeadlineMs }: Config): number {
  return ANSWER_DEADLINES_MAX * heartbeatDeadlineMs;
}

const ANSWER_DEADLINES_MAX = 12;
