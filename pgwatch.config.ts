import { defineConfig } from 'pgwatch';

// Nothing here is required: these are the defaults, and DATABASE_URL and consumers/ are enough.
// Flags override the environment (PGWATCH_POLL_INTERVAL and so on), which overrides this file.
export default defineConfig({
  // The folder with the consumer files, including its sub-folders.
  consumers: 'consumers',
  // A doorbell wakes the daemon at once. If a ring is lost, the next poll finds the notification.
  pollInterval: '5s',
  // How long running handlers may take to finish after Ctrl-C, before their context.signal aborts.
  shutdownTimeout: '30s',
});
