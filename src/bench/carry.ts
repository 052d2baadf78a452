// Whether a path carries traffic, and as what: asked before anything is measured on it.
import { addressBytes } from '../model/address.js';
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import { UPLINK } from '../testbed/node.js';
import { linkIn } from './links.js';
import type { Peer } from './peers.js';
import { type BenchPlan, SERVER_PORT } from './plan.js';
import type { Missing } from './report.js';

const TIMEOUT_MS = 2000;

/** Of the paths that do not, the reasons. */
export async function checkPeers(peers: readonly Peer[]): Promise<Missing[]> {
  const missing: Missing[] = [];
  for (const peer of peers) {
    const reason = await refusalOf(peer);
    if (reason !== undefined) missing.push({ name: peer.name, reason });
  }
  return missing;
}

/** Whether portmap hands over what comes to a bridge's node: without that, a part of the peer would not be there. */
export async function checkHostPorts({ bridges }: BenchPlan, peers: readonly Peer[]): Promise<Missing[]> {
  const ports = bridges.flatMap(({ name, addresses, pods }) =>
    pods.flatMap(({ hostPort }) => (hostPort === undefined ? [] : [{ name, address: addresses.ipv4, hostPort }])),
  );
  const other = bridges.find(({ routes }) => ports.some(({ address }) => routes.some(({ via }) => via === address)));
  if (other === undefined || peers.every(({ name }) => name !== 'bridge-same')) return [];
  const missing: Missing[] = [];
  for (const { name, address, hostPort } of ports) {
    const reason = judgeAnswer(await askWho(other.netns, [address, String(hostPort)]), other.addresses.ipv4);
    if (reason !== undefined) missing.push({ name: 'bridge-same', reason: `port ${hostPort} of ${name}: ${reason}` });
  }
  return missing;
}

async function refusalOf({ client, server, seenAs, mtu }: Peer): Promise<string | undefined> {
  const small = [client, server.netns].find((netns) => mtu !== undefined && linkIn(netns, UPLINK).mtu !== mtu);
  if (small !== undefined) return `the MTU in ${small} is ${linkIn(small, UPLINK).mtu} and not ${mtu}`;
  const to = [server.address, String(SERVER_PORT)];
  return judgeAnswer(await askWho(client, to), seenAs);
}

interface Answer {
  readonly ok: boolean;
  /** The client's address and port, as the server saw them: `192.0.2.1:80` or `[2001:db8::1]:80`. */
  readonly saw?: string;
  readonly error?: string;
}

/** Asks a server over TCP who asks; undefined when the probe said nothing. */
export async function askWho(netns: string, to: readonly string[]): Promise<Answer | undefined> {
  const { stdout } = await capture([PROBE, 'tcp', ...to, 'who', '--timeout', String(TIMEOUT_MS)], { netns });
  return stdout.startsWith('{') ? (JSON.parse(stdout) as Answer) : undefined;
}

/** Why the answer is not what it should be; undefined when it is. */
export function judgeAnswer(answer: Answer | undefined, seenAs: string | undefined): string | undefined {
  if (answer === undefined) return 'it carries no traffic: the probe said nothing';
  if (!answer.ok) return `it carries no traffic: ${answer.error ?? 'no answer'}`;
  const saw = answer.saw?.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') ?? '';
  if (seenAs === undefined || sameAddress(saw, seenAs)) return undefined;
  return `the server sees ${saw} and not ${seenAs}`;
}

function sameAddress(a: string, b: string): boolean {
  return Buffer.compare(addressBytes(a), addressBytes(b)) === 0;
}
