// The reaper of a cluster: `reaper-main.js DIRECTORY` waits for the end of its standard input and removes what is left.
import { removeCluster } from './cluster.js';
import { planCluster } from './plan.js';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: reaper-main.js DIRECTORY');
// Ctrl-C is for the owner; what matters here is the owner's end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
let text = '';
process.stdin.setEncoding('utf8').on('data', (part: string) => (text += part));
process.stdin.on('close', () => {
  if (text === '') void removeCluster(planCluster(directory));
});
