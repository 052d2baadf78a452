// Holds a cluster up for people until Ctrl-C: `main.js [OVERLAY]`; `main.js --check` only says why there can be none.
import { writeFileSync } from 'node:fs';
import { type Cluster, clusterUp } from './cluster.js';
import { install, type Overlay, waitUntilReady } from './installation.js';
import { Kubectl } from './kubectl.js';
import { findPrograms } from './programs.js';

const OVERLAYS: readonly string[] = ['flat', 'island', 'dual-stack'];
const [choice = 'island'] = process.argv.slice(2);

async function main(): Promise<number> {
  const programs = await findPrograms();
  if (typeof programs === 'string') {
    console.log(programs);
    return 1;
  }
  if (choice === '--check') return 0;
  if (choice !== 'none' && !OVERLAYS.includes(choice)) {
    console.error(`error: there is no overlay '${choice}': ${OVERLAYS.join(', ')}, or none. Nothing was changed`);
    return 2;
  }
  // From the first moment on: what is half-built is removed, too.
  const stopped = new Promise<void>((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  const cluster = await clusterUp(programs.directory, say);
  try {
    await Promise.race([present(cluster), stopped]);
    await stopped;
  } finally {
    console.log('cluster: going down');
    await cluster.down();
  }
  return 0;
}

async function present(cluster: Cluster): Promise<void> {
  const kubectl = new Kubectl(cluster.plane);
  const started = performance.now();
  if (choice !== 'none') {
    await install(cluster, kubectl, choice as Overlay);
    await waitUntilReady(kubectl);
    say('agent on every node, after another', performance.now() - started);
  }
  const script = `${cluster.plan.directory}/kubectl`;
  const command = ['nsenter', `--net=/run/netns/${kubectl.netns}`, ...kubectl.argv('"$@"')].join(' ');
  writeFileSync(script, `#!/bin/sh\nexec ${command}\n`, { mode: 0o700 });
  console.log(`try: ${script} get pods -A -o wide\nCtrl-C takes it down`);
}

function say(what: string, milliseconds: number): void {
  console.log(`cluster: ${what} (${(milliseconds / 1000).toFixed(1)} s)`);
}

process.exit(await main());
