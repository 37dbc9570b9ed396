import type { Settings } from '../database/transaction.ts';

/**
 * Settings for connections that read the log. Its statements are written for generic plans that
 * follow its indexes in order: planning them each time costs more than running them, and the
 * planner knows nothing of a partition until it is analyzed. It then sorts a whole window where one
 * chunk is wanted, and does so again for the next chunk.
 */
export const LOG_PLANS: Settings = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
};
