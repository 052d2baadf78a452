// What a node holds because of its pods, counted: what is more after they are gone has leaked.
import { NAMESPACE } from './installation.js';
import type { Kubectl } from './kubectl.js';
import { runOn } from './machine.js';
import type { ClusterNode } from './plan.js';

/** How many there are, by what they are. */
export type Holdings = Readonly<Record<string, number>>;

/** The link of every attached program is pinned, tcx among them. Connections of the agent come and go, so sockets are left out. */
const COUNT = `
count() { echo "$1 $(wc -l)"; }
ip -o link show | count links
ip -o addr show | count addresses
{ ip -4 route show table all; ip -6 route show table all; } | count routes
ip neigh show nud permanent | count neighbours
ip netns list | count namespaces
find /run/isthmus/endpoints -type f | count records
find /sys/fs/bpf -type f | count pins
# In brackets, so that it is not this script that is found.
pid=$(pgrep --full 'isthmus/build/src/cli/main[.]js agent')
find "/proc/$pid/fd" -type l -printf '%l\\n' | grep -v '^socket:' | count descriptors
`;

/** Entries of these come and go with traffic and time, whoever sent it. */
const BY_TRAFFIC =
  /^(flows|flow_.*|mappings|hits|affinities|datagram_peers|fragments|drops|samples|shortages|detour_.*)$/;

interface MapList {
  readonly items: readonly { readonly name: string; readonly entries?: number }[];
}

/** Counts everything; throws CommandError when the agent does not run. */
export async function holdingsOf(kubectl: Kubectl, node: ClusterNode): Promise<Holdings> {
  const text = await runOn(node, ['bash', '-euc', COUNT]);
  const counts = text
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .map(([name = '', count]) => [name, Number(count)] as const);
  return Object.fromEntries([...counts, ...(await mapEntries(kubectl, node))]);
}

/** As the kernel has them, not as the agent believes. */
async function mapEntries(kubectl: Kubectl, node: ClusterNode): Promise<(readonly [string, number])[]> {
  const [agent] = await kubectl.list('pods', '-n', NAMESPACE, `--field-selector=spec.nodeName=${node.name}`);
  const argv = [
    agent?.metadata.name ?? '',
    '-n',
    NAMESPACE,
    '-c',
    'agent',
    '--',
    'isthmus',
    'map',
    'list',
    '-o',
    'json',
  ];
  const { items } = JSON.parse(await kubectl.run('exec', ...argv)) as MapList;
  return items.flatMap(({ name, entries }) =>
    entries === undefined || BY_TRAFFIC.test(name) ? [] : [[`map ${name}`, entries] as const],
  );
}
