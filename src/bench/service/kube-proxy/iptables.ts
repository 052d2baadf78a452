// What kube-proxy gives to iptables-restore in its iptables mode, for Services with one TCP port.
import type { ServedService } from '../services.js';
import { endpointChain, portName, protocolOf, serviceChain } from './names.js';

export interface RulesOptions {
  readonly services: readonly ServedService[];
  /** Of the pods: what comes from elsewhere to a cluster IP is masqueraded. */
  readonly clusterCIDR: string;
}

/** With more endpoints than that, kube-proxy leaves the comments of single rules out. */
const LARGE_CLUSTER_ENDPOINTS = 1000;
const MASQUERADE_MARK = '0x4000';

const FRESH = '-m conntrack --ctstate NEW';
const FIREWALL = `${FRESH} -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL`;
const PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES';
const EXTERNAL = `${FRESH} -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES`;

/** The rules of the kernel's own chains that lead into kube-proxy's. */
const FILTER_HOOKS = [
  `-A INPUT ${FIREWALL}`,
  '-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
  `-A INPUT ${EXTERNAL}`,
  `-A FORWARD ${FIREWALL}`,
  '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
  `-A FORWARD ${FRESH} ${PORTALS}`,
  `-A FORWARD ${EXTERNAL}`,
  `-A OUTPUT ${FIREWALL}`,
  `-A OUTPUT ${FRESH} ${PORTALS}`,
];
const NAT_HOOKS = [
  `-A PREROUTING ${PORTALS}`,
  `-A OUTPUT ${PORTALS}`,
  '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
];

/** The hooks alone, which kube-proxy makes once with single commands. Flushes the tables. */
export function iptablesBase(): string {
  return text([
    '*filter',
    ...FILTER_CHAINS.map(chainLine),
    ...FILTER_HOOKS,
    'COMMIT',
    '*nat',
    ...NAT_CHAINS.map(chainLine),
    ...NAT_HOOKS,
    'COMMIT',
  ]);
}

const FILTER_CHAINS = [
  'KUBE-SERVICES',
  'KUBE-EXTERNAL-SERVICES',
  'KUBE-FORWARD',
  'KUBE-NODEPORTS',
  'KUBE-PROXY-FIREWALL',
];
const NAT_CHAINS = ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ'];

/** A full synchronization, for `iptables-restore --noflush --counters`. */
export function iptablesRules(options: RulesOptions): string {
  return synchronization(options, options.services);
}

/** The same rules and the hooks at once, which flushes the tables: with many chains tools are much faster so. */
export function iptablesTables(options: RulesOptions): string {
  return synchronization(options, options.services, true);
}

/**
 * The synchronization after a change of one Service: the chains that list all Services are written anew, of the
 * others only those of this one.
 */
export function iptablesChange(options: RulesOptions, changed: ServedService): string {
  return synchronization(options, [changed]);
}

function synchronization(
  { services, clusterCIDR }: RulesOptions,
  written: readonly ServedService[],
  hooks = false,
): string {
  const endpoints = services.reduce((sum, { backends }) => sum + backends.length, 0);
  const comment: Comment = (words) =>
    endpoints > LARGE_CLUSTER_ENDPOINTS ? '' : ` -m comment --comment ${words.includes(' ') ? `"${words}"` : words}`;
  return text([
    '*filter',
    ...FILTER_CHAINS.map(chainLine),
    ...(hooks ? FILTER_HOOKS : []),
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${MASQUERADE_MARK}/${MASQUERADE_MARK} -j ACCEPT`,
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'COMMIT',
    '*nat',
    ...NAT_CHAINS.map(chainLine),
    ...written.flatMap(chainsOf).map(chainLine),
    ...(hooks ? NAT_HOOKS : []),
    `-A KUBE-POSTROUTING -m mark ! --mark ${MASQUERADE_MARK}/${MASQUERADE_MARK} -j RETURN`,
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${MASQUERADE_MARK}`,
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${MASQUERADE_MARK}`,
    ...services.flatMap((service) => portalRules(service, comment)),
    ...written.flatMap((service) => chainRules(service, clusterCIDR, comment)),
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    'COMMIT',
  ]);
}

type Comment = (words: string) => string;

function chainsOf(service: ServedService): string[] {
  return [
    serviceChain(service),
    ...(service.nodePort === undefined ? [] : [serviceChain(service, 'EXT')]),
    ...service.backends.map((backend) => endpointChain(service, backend)),
  ];
}

/** The lines that every packet of a new connection is compared with. */
function portalRules(service: ServedService, comment: Comment): string[] {
  const name = portName(service);
  const { clusterIP, port, nodePort } = service;
  const match = protocolMatch(service);
  const external = serviceChain(service, 'EXT');
  return [
    `-A KUBE-SERVICES${comment(`${name} cluster IP`)} ${match} -d ${clusterIP} --dport ${port} -j ${serviceChain(service)}`,
    ...(nodePort === undefined
      ? []
      : [`-A KUBE-NODEPORTS${comment(name)} ${match} --dport ${nodePort} -j ${external}`]),
  ];
}

function chainRules(service: ServedService, clusterCIDR: string, comment: Comment): string[] {
  const name = portName(service);
  const chain = serviceChain(service);
  const external = serviceChain(service, 'EXT');
  const { clusterIP, port, nodePort, backends } = service;
  const match = protocolMatch(service);
  const outside = `${comment(`${name} cluster IP`)} ${match} -d ${clusterIP} --dport ${port} ! -s ${clusterCIDR}`;
  return [
    `-A ${chain}${outside} -j KUBE-MARK-MASQ`,
    ...(nodePort === undefined
      ? []
      : [
          `-A ${external}${comment(`masquerade traffic for ${name} external destinations`)} -j KUBE-MARK-MASQ`,
          `-A ${external} -j ${chain}`,
        ]),
    ...backends.flatMap((backend, index) => {
      const to = `${backend.address}:${backend.port}`;
      const endpoint = endpointChain(service, backend);
      return [
        `-A ${chain}${comment(`${name} -> ${to}`)}${chance(backends.length - index)} -j ${endpoint}`,
        `-A ${endpoint}${comment(name)} -s ${backend.address} -j KUBE-MARK-MASQ`,
        `-A ${endpoint}${comment(name)} ${match} -j DNAT --to-destination ${to}`,
      ];
    }),
  ];
}

function protocolMatch(service: ServedService): string {
  const protocol = protocolOf(service);
  return `-m ${protocol} -p ${protocol}`;
}

/** Each of those that are left is as likely; the last one takes the rest. */
function chance(left: number): string {
  return left === 1 ? '' : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
}

function chainLine(chain: string): string {
  return `:${chain} - [0:0]`;
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
