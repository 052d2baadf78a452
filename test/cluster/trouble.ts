// What a person would look at after a test on a cluster has failed.
import { NAMESPACE } from './installation.js';
import type { Kubectl } from './kubectl.js';

const LINES = 25;

/** Pods, the newest Events, and what the agents said last. Never rejects. */
export async function describeTrouble(kubectl: Kubectl): Promise<string> {
  const looks = [
    ['get', 'nodes,pods,services', '-A', '-o', 'wide'],
    ['get', 'events', '-A', '--sort-by=.metadata.creationTimestamp'],
    ['logs', '-n', NAMESPACE, '-l', 'app.kubernetes.io/name=isthmus', '-c', 'agent', '--prefix', '--tail=8'],
  ];
  const texts = await Promise.all(
    looks.map(async (argv) => {
      const { stdout, stderr } = await kubectl.capture(...argv, '--request-timeout=10s');
      return [`$ kubectl ${argv.join(' ')}`, ...`${stdout}${stderr}`.trimEnd().split('\n').slice(-LINES)].join('\n');
    }),
  );
  return texts.join('\n');
}
