#!/usr/bin/env node
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `pgwatch needs Node.js 22.18 or newer, but this is ${process.version}: install a newer one.`,
  );
  process.exitCode = 1;
} else {
  // Without a cache, compiling takes half the time of a short command.
  const { enableCompileCache } = await import('node:module');
  enableCompileCache();
  const { main } = await import('../dist/cli/main.js');
  const { flushOutput } = await import('../dist/cli/process-end.js');
  const exitCode = await main(process.argv.slice(2));
  // Exit explicitly: timers, pools and servers of consumer files would keep the process alive.
  process.exit(await flushOutput(exitCode));
}
