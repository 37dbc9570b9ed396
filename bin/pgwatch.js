#!/usr/bin/env node
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `pgwatch needs Node.js 22.18 or newer, and this is ${process.version}: install a current one.`,
  );
  process.exitCode = 1;
} else {
  // Compiling what was compiled before is half of what a short command takes.
  const { enableCompileCache } = await import('node:module');
  enableCompileCache();
  const { main } = await import('../dist/cli/main.js');
  const { flushOutput } = await import('../dist/cli/process-end.js');
  const exitCode = await main(process.argv.slice(2));
  // Timers, pools and servers of consumer files would keep the process alive.
  process.exit(await flushOutput(exitCode));
}
