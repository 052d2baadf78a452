// The health check of each Service that a load balancer asks for node by node: has this one a backend of it?
import type { CompiledGroup, CompiledServices } from '../datapath/services.js';
import type { Unit } from '../datapath/unit.js';
import { FAMILIES } from '../model/address.js';
import type { HealthAnswer } from './proxy-health.js';

export interface HealthCheck {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** Ready ones on this node; of two families the one with more. Terminating ones do not count, whoever uses them. */
  readonly localEndpoints: number;
}

/** In the order of names. */
export function listHealthChecks({ groups }: Pick<CompiledServices, 'groups'>, nodeName: string): HealthCheck[] {
  const checks: HealthCheck[] = [];
  for (const group of groups.values()) {
    const { namespace, name, healthCheckNodePort: port } = group.service;
    if (port !== undefined) checks.push({ namespace, name, port, localEndpoints: countLocal(group, nodeName) });
  }
  return checks;
}

/** A pod counts once, whatever number of ports and families it has. */
function countLocal({ list }: CompiledGroup, nodeName: string): number {
  const units = list.map(({ unit }) => unit);
  return Math.max(...FAMILIES.map((family) => readyAddresses(units, family, nodeName).size));
}

function readyAddresses(units: readonly Unit[], wanted: Unit['family'], nodeName: string): Set<string> {
  const backends = units.flatMap(({ family, backends }) => (family === wanted ? backends : []));
  return new Set(backends.filter((one) => one.ready && one.nodeName === nodeName).map(({ address }) => address));
}

/** With kube-proxy's body. */
export function answerHealthCheck(check: HealthCheck, serviceProxyHealthy: boolean): HealthAnswer {
  const { namespace, name, localEndpoints } = check;
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy };
  const status = localEndpoints > 0 && serviceProxyHealthy ? 200 : 503;
  return { status, body: JSON.stringify(body, null, '\t') };
}
