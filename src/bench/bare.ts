// The least that programs can do between two places: wired by hand, without addresses or routes in between.
import { batch } from '../testbed/namespaces.js';
import { UPLINK } from '../testbed/node.js';
import type { Inside } from './inside.js';
import { openInside } from './inside.js';
import { linkIn } from './links.js';
import type { BareEnd, BarePath } from './plan.js';
import type { Redirect } from './redirect.js';

/** Wires both ends and has their nodes hand over all that comes, ARP too. Lasts until the processes are closed. */
export async function openBarePath({ ends: [left, right] }: BarePath, cpu: number): Promise<Inside[]> {
  for (const end of [left, right]) await wireEnd(end);
  const sameNode = left.node === right.node;
  const byNode = sameNode
    ? [{ netns: left.node, redirects: [...into(left, right.device), ...into(right, left.device)] }]
    : [left, right].map((end) => ({ netns: end.node, redirects: [...into(end, UPLINK), outOf(end)] }));
  const jobs = byNode.map(({ netns, redirects }) => ({
    inside: openInside({ job: 'redirect', netns, cpu }),
    redirects,
  }));
  for (const { inside, redirects } of jobs) await inside.ask<number>({ redirects });
  return jobs.map(({ inside }) => inside);
}

async function wireEnd({ netns, node, device, address }: BareEnd): Promise<void> {
  await batch(undefined, [`link add name ${device} netns ${node} type veth peer name ${UPLINK} netns ${netns}`]);
  await batch(node, [`link set ${device} up`]);
  await batch(netns, [`addr add ${address}/24 dev ${UPLINK}`, `link set ${UPLINK} up`]);
}

/** What comes from a device goes straight into the place. */
function into({ node, device }: BareEnd, from: string): Redirect[] {
  return [{ from: linkIn(node, from).ifindex, to: linkIn(node, device).ifindex, peer: true }];
}

/** What the place sends goes out of its node. */
function outOf({ node, device }: BareEnd): Redirect {
  return { from: linkIn(node, device).ifindex, to: linkIn(node, UPLINK).ifindex, peer: false };
}
