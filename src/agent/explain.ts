// Why each backend of a Service is used on this node or is not: what selection decided, in words.
import type { BackendExplanation, PortExplanation, ServiceExplanation } from '../api/protocol.js';
import type { CompiledService } from '../datapath/service-entries.js';
import type { CompiledServices } from '../datapath/services.js';
import type { Unit } from '../datapath/unit.js';
import type { Selection } from '../model/selection.js';
import type { Backend } from '../model/service.js';

/** undefined when there is no such Service, or none that has frontends. */
export function explainService(services: CompiledServices, namespace: string, name: string) {
  const group = services.groups.get(`${namespace}/${name}`);
  if (group === undefined) return undefined;
  const { service, list } = group;
  return {
    namespace,
    name,
    internalTrafficPolicy: service.internalTrafficPolicy,
    externalTrafficPolicy: service.externalTrafficPolicy,
    affinityTimeout: service.affinityTimeout,
    loadBalancing: service.loadBalancing,
    forwardingMode: list.some(({ unit }) => unit.isDirect) ? 'DirectReturn' : 'Translated',
    sourceRanges: service.sourceRanges,
    ports: list.map(explainPort),
  } satisfies ServiceExplanation;
}

function explainPort({ id, unit }: CompiledService): PortExplanation {
  const { port, family, frontends, backends, selection } = unit;
  return {
    id,
    portName: port.name,
    protocol: port.protocol,
    family,
    topology: selection.topology,
    frontends: frontends
      .filter(({ kind }) => kind !== 'address')
      .map(({ key, kind }) => ({ address: key.address, port: key.port, kind })),
    backends: backends.map((backend) => explainBackend(backend, unit)),
  };
}

function explainBackend(backend: Backend, { selection }: Unit): BackendExplanation {
  const { address, port, nodeName, zone } = backend;
  const [cluster, local] = [selection.cluster.includes(backend), selection.local.includes(backend)];
  const reason = cluster || local ? whyUsed(backend, selection) : whyNot(backend, selection);
  return { address, port, nodeName, zone, state: stateOf(backend), cluster, local, reason };
}

function stateOf({ ready, serving, terminating }: Backend): BackendExplanation['state'] {
  if (ready) return 'ready';
  return serving && terminating ? 'terminating' : 'not ready';
}

const HINTED: Readonly<Record<Selection['topology'], string>> = {
  SameNode: 'hinted for this node',
  SameZone: "hinted for this node's zone",
  Anywhere: 'ready',
};

function whyUsed(backend: Backend, { topology, cluster }: Selection): string {
  if (!backend.ready) return 'terminating, and no other is left';
  return cluster.includes(backend) ? HINTED[topology] : 'ready, and on this node';
}

function whyNot(backend: Backend, { topology, cluster }: Selection): string {
  if (stateOf(backend) === 'not ready') return backend.terminating ? 'terminating, and does not serve' : 'not ready';
  if (!backend.ready) return 'terminating: keeps its connections, gets no new ones';
  if (cluster.length === 0) return 'on another node, and the policy is Local';
  return topology === 'SameNode' ? 'others are hinted for this node' : "others are hinted for this node's zone";
}
