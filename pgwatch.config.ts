import { defineConfig } from 'pgwatch';

// Nothing here is required: these are the defaults, and DATABASE_URL with a folder consumers/ is enough.
// Flags beat the environment (PGWATCH_POLL_INTERVAL and so on), which beats this file.
export default defineConfig({
  // Where the consumer files lie, sub-folders included.
  consumers: 'consumers',
  // A doorbell wakes the daemon at once. Should a ring be lost, a poll finds the notification so much later.
  pollInterval: '5s',
  // How long running handlers may take to finish after Ctrl-C; then their context.signal aborts.
  shutdownTimeout: '30s',
});
