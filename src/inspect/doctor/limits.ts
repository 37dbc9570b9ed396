/** From where on something is worth a word. */
export type ServerLimits = {
  /** How long a transaction may be open. */
  transactionNoteMs: number;
  transactionProblemMs: number;
  /** By how many transactions a replication slot that nobody uses may hold vacuum back. */
  slotXids: number;
  /** How large the log may get, and how old, before somebody should think of cleaning up. */
  logBytes: number;
  logDays: number;
  /**
   * What the default partition may hold before no partition is made any more: as in
   * log_partition_create.
   */
  defaultPartitionBytes: number;
  /** How long a consumer may go unread before it counts as forgotten. */
  consumerDays: number;
  /** How late a retry may be. */
  retryLateMs: number;
  /** How long one may wait for the lock of NOTIFY. */
  notifyWaitMs: number;
  /** How often a second smart_notify may send a NOTIFY to everybody. */
  notifiesPerSecond: number;
  /** By how much the clocks may differ. */
  clockMs: number;
  /** How many dead rows a small table may have. */
  deadRows: number;
  /** How long somebody may keep others from reading a table. */
  lockMs: number;
  /** How long LISTEN may take for its round trip. */
  listenMs: number;
};

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000];

export const LIMITS: ServerLimits = {
  transactionNoteMs: 5 * MINUTE,
  transactionProblemMs: HOUR,
  slotXids: 1_000_000,
  logBytes: 10 * 2 ** 30,
  logDays: 30,
  defaultPartitionBytes: 16 * 2 ** 20,
  consumerDays: 7,
  retryLateMs: MINUTE,
  notifyWaitMs: SECOND,
  notifiesPerSecond: 200,
  clockMs: 5 * SECOND,
  deadRows: 50_000,
  lockMs: SECOND,
  listenMs: SECOND,
};
