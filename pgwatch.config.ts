import { defineConfig } from 'pgwatch';

// Nothing here is required: these are the defaults, and DATABASE_URL and a folder consumers/ are
// enough. Command-line options override environment variables (PGWATCH_POLL_INTERVAL and so on),
// which override this file.
export default defineConfig({
  // The folder of the consumer files, including subfolders.
  consumers: 'consumers',
  // A doorbell wakes the daemon at once. If one is lost, the next poll finds the notification.
  pollInterval: '5s',
  // How long running handlers may take to finish after Ctrl-C, before their context.signal aborts.
  shutdownTimeout: '30s',
});
