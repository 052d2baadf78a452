// What the programs cost an established packet through a Service, and one to the pod itself.
import type { Endpoint } from '../../model/endpoint.js';
import { UPLINK } from '../../testbed/node.js';
import { askAgent } from '../../testbed/node-agent.js';
import { bpffsOf } from '../../testbed/node-home.js';
import { openInside } from '../inside.js';
import { linkIn } from '../links.js';
import type { Arrival, CostAnswer, CostCase, CostQuestion } from '../program-cost.js';
import { BACKEND_PORT, putServices, type ServiceBed } from './bed.js';
import { measured } from './latency.js';
import { listServices, SERVICE_PORT } from './services.js';

/** Beside the one that is asked. */
const SERVICES = 1000;
const POD_PORT = 40_000;

export async function measureServicePrograms(bed: ServiceBed, batches: number): Promise<CostAnswer[]> {
  const own = measured(bed.servers[0]?.address ?? '');
  await putServices(bed, listServices({ count: SERVICES, backends: 3, inTheMiddle: [own] }));
  const { node } = bed;
  const endpoints = (await askAgent(node))?.endpoints ?? [];
  const pod = (address: string | undefined): Endpoint => {
    const found = endpoints.find(({ addresses }) => addresses.some((one) => one === address));
    if (!found) throw new Error(`the agent of ${node.name} has no pod ${address}`);
    return found;
  };
  const [client, server] = [pod(bed.client.address), pod(bed.servers[0]?.address)];
  const uplink = linkIn(node.netns, UPLINK);
  const question: CostQuestion = {
    node: node.name,
    manifests: `${node.stateDir}/manifests`,
    bpffs: bpffsOf(node),
    gatewayMac: linkIn(node.netns, client.hostInterface).mac,
    uplink: { ifindex: uplink.ifindex, mtu: uplink.mtu, mac: uplink.mac },
    cases: casesOf({ client, server, gatewayMac: linkIn(node.netns, client.hostInterface).mac }, own.clusterIP, bed),
    batches,
  };
  const inside = openInside({ job: 'program-cost', netns: node.netns, cpu: bed.cpu });
  try {
    return await inside.ask<CostAnswer[]>(question);
  } finally {
    inside.close();
  }
}

interface Ends {
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly gatewayMac: string;
}

function casesOf({ client, server, gatewayMac }: Ends, clusterIP: string, bed: ServiceBed): CostCase[] {
  const from = ({ ifindex, mac }: Endpoint, packet: Pick<Arrival['packet'], 'source' | 'destination'>): Arrival => ({
    ifindex,
    packet: { sourceMac: mac, destinationMac: gatewayMac, ...packet },
  });
  const source = { address: bed.client.address, port: POD_PORT };
  const backend = { address: bed.servers[0]?.address ?? '', port: BACKEND_PORT };
  const asking = from(client, { source, destination: { address: clusterIP, port: SERVICE_PORT } });
  const answering = from(server, { source: backend, destination: source });
  const program = 'from_container';
  return [
    { name: 'to the pod itself', program, arrival: from(client, { source, destination: backend }) },
    { name: 'through a Service', program, arrival: asking, opening: asking },
    { name: 'through a Service, answer', program, arrival: answering, opening: asking, isAnswer: true },
  ];
}
