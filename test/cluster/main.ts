// Holds a cluster up for people: `npm run cluster` until Ctrl-C. Prints where its kubeconfig is and how to enter it.
import { clusterUp } from './cluster.js';
import { findPrograms } from './programs.js';

const programs = await findPrograms();
if (typeof programs === 'string') throw new Error(programs);
const cluster = await clusterUp(programs.directory, (what, milliseconds) => {
  console.log(`cluster: ${what} (${(milliseconds / 1000).toFixed(1)} s)`);
});
const { machine, certificates } = cluster.plane;
console.log(
  `nsenter --net=/run/netns/${machine.netns} ${programs.directory}/kubectl --kubeconfig=${certificates.directory}/admin.kubeconfig get nodes`,
);
console.log('Ctrl-C takes it down');
await new Promise<void>((resolve) => process.once('SIGINT', () => resolve()).once('SIGTERM', () => resolve()));
await cluster.down();
process.exit(0);
