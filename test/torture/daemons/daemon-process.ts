/*
The process that a round starts, harms and kills: node daemon-process.ts SETUP.
*/
import type { DaemonSetup } from './setup.ts';
import { changeSource } from './wrong-source.ts';

const setup = JSON.parse(process.argv[2] ?? '{}') as DaemonSetup;
for (const change of setup.wrongSource ?? []) changeSource(change);
// Only now, because this loads what is changed.
const { runConsumers } = await import('./run-consumers.ts');
await runConsumers(setup);
