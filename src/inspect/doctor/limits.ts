/** From where on the doctor reports something. */
export type ServerLimits = {
  /** How long a transaction may be open. */
  transactionNoteMs: number;
  transactionProblemMs: number;
  /** By how many transactions an unused replication slot may hold vacuum back. */
  slotXids: number;
  /** How large, and how old, the log may get without cleanup. */
  logBytes: number;
  logDays: number;
  /** How large the default partition may be for log_partition_create to make more partitions. */
  defaultPartitionBytes: number;
  /** How long the position of a consumer may stay put before it counts as forgotten. */
  consumerDays: number;
  /** How late a retry may be. */
  retryLateMs: number;
  /** How long a session may wait for the lock of NOTIFY. */
  notifyWaitMs: number;
  /** How many NOTIFYs smart_notify may send per second and channel. */
  notifiesPerSecond: number;
  /** By how much the clocks may differ. */
  clockMs: number;
  /** How many dead rows a small table may have. */
  deadRows: number;
  /** How long a session may keep others from reading a table. */
  lockMs: number;
  /** How long a NOTIFY may take to come back. */
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
