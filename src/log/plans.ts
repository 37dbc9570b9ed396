import type { Settings } from '../database/transaction.ts';

/**
 * Settings for connections that read the log. Its statements are written for generic plans that
 * follow its indexes in order. Planning them each time costs more than running them, and until a
 * partition is analyzed the planner knows nothing about it: it sorts a whole window to return one
 * chunk, and does so again for the next chunk.
 */
export const LOG_PLANS: Settings = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
};
