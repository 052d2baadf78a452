// What kube-proxy gives to nft in its nftables mode, for Services with one TCP port.
import { CLUSTER_IPS, type ServedService } from '../services.js';
import type { RulesOptions } from './iptables.js';
import { nftName, protocolOf } from './names.js';

export interface NftRulesOptions extends RulesOptions {
  /** Of the node: where node ports are served. */
  readonly nodeAddress: string;
}

const MASQUERADE_MARK = '0x4000';
const TABLE = 'ip kube-proxy';
const PORTAL = 'type ipv4_addr . inet_proto . inet_service : verdict';

/** A full synchronization, for `nft -f -`. A table of an earlier one is removed in the same transaction. */
export function nftablesRules(options: NftRulesOptions): string {
  return text([
    `add table ${TABLE} { comment "rules for kube-proxy" ; }`,
    `delete table ${TABLE}`,
    `add table ${TABLE} { comment "rules for kube-proxy" ; }`,
    ...SETS.map((set) => `add ${set}`.replace('$', TABLE)),
    ...CHAINS.map((chain) => `add chain ${TABLE} ${chain}`),
    ...RULES.map((rule) => `add rule ${TABLE} ${rule}`),
    `add element ${TABLE} nodeport-ips { ${options.nodeAddress} }`,
    ...options.services.flatMap((service) => serviceLines(service, options.clusterCIDR)),
  ]);
}

/** The transaction after the endpoints of one Service have become others: kube-proxy writes the chains anew. */
export function nftablesChange(
  { clusterCIDR }: Pick<RulesOptions, 'clusterCIDR'>,
  { before, after }: { readonly before: ServedService; readonly after: ServedService },
): string {
  const kept = new Set(after.backends.map((backend) => nftName(after, backend)));
  const gone = before.backends.map((backend) => nftName(before, backend)).filter((name) => !kept.has(name));
  return text([
    ...chainsOf(after).flatMap((chain) => [`add chain ${TABLE} ${chain}`, `flush chain ${TABLE} ${chain}`]),
    ...chainRules(after, clusterCIDR),
    ...gone.map((name) => `flush chain ${TABLE} endpoint-${name}`),
    ...gone.map((name) => `delete chain ${TABLE} endpoint-${name}`),
  ]);
}

const SETS = [
  'set $ cluster-ips { type ipv4_addr ; comment "Active ClusterIPs" ; }',
  'set $ nodeport-ips { type ipv4_addr ; comment "IPs that accept NodePort traffic" ; }',
  `map $ firewall-ips { ${PORTAL} ; }`,
  'map $ no-endpoint-nodeports { type inet_proto . inet_service : verdict ; }',
  `map $ no-endpoint-services { ${PORTAL} ; }`,
  `map $ service-ips { ${PORTAL} ; comment "ClusterIP, ExternalIP and LoadBalancer IP traffic" ; }`,
  'map $ service-nodeports { type inet_proto . inet_service : verdict ; comment "NodePort traffic" ; }',
];

const CHAINS = [
  'cluster-ips-check',
  'filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }',
  'filter-output-pre-dnat { type filter hook output priority -110 ; }',
  'filter-forward { type filter hook forward priority 0 ; }',
  'filter-input { type filter hook input priority 0 ; }',
  'filter-output { type filter hook output priority 0 ; }',
  'firewall-check',
  'mark-for-masquerade',
  'masquerading',
  'nat-output { type nat hook output priority -100 ; }',
  'nat-postrouting { type nat hook postrouting priority 100 ; }',
  'nat-prerouting { type nat hook prerouting priority -100 ; }',
  'nodeport-endpoints-check',
  'reject-chain',
  'services',
  'service-endpoints-check',
];

const PORTAL_KEY = 'ip daddr . meta l4proto . th dport';

const RULES = [
  'cluster-ips-check ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
  `cluster-ips-check ip daddr { ${CLUSTER_IPS} } drop comment "Drop traffic to unallocated ClusterIPs"`,
  'filter-prerouting-pre-dnat ct state new jump firewall-check',
  'filter-forward ct state new jump service-endpoints-check',
  'filter-forward ct state new jump cluster-ips-check',
  'filter-input ct state new jump nodeport-endpoints-check',
  'filter-input ct state new jump service-endpoints-check',
  'filter-output ct state new jump service-endpoints-check',
  'filter-output-pre-dnat ct state new jump firewall-check',
  'filter-output ct state new jump cluster-ips-check',
  `firewall-check ${PORTAL_KEY} vmap @firewall-ips`,
  `mark-for-masquerade mark set mark or ${MASQUERADE_MARK}`,
  `masquerading mark and ${MASQUERADE_MARK} == 0 return`,
  `masquerading mark set mark xor ${MASQUERADE_MARK}`,
  'masquerading masquerade fully-random',
  'nat-output jump services',
  'nat-postrouting jump masquerading',
  'nat-prerouting jump services',
  'nodeport-endpoints-check ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports',
  'reject-chain reject',
  `services ${PORTAL_KEY} vmap @service-ips`,
  'services ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports',
  `service-endpoints-check ${PORTAL_KEY} vmap @no-endpoint-services`,
];

function serviceLines(service: ServedService, clusterCIDR: string): string[] {
  const name = nftName(service);
  const { clusterIP, port, nodePort } = service;
  return [
    ...chainsOf(service).map((chain) => `add chain ${TABLE} ${chain}`),
    ...chainRules(service, clusterCIDR),
    `add element ${TABLE} cluster-ips { ${clusterIP} }`,
    `add element ${TABLE} service-ips { ${clusterIP} . ${protocolOf(service)} . ${port} : goto service-${name} }`,
    ...(nodePort === undefined
      ? []
      : [`add element ${TABLE} service-nodeports { ${protocolOf(service)} . ${nodePort} : goto external-${name} }`]),
  ];
}

function chainsOf(service: ServedService): string[] {
  return [
    `service-${nftName(service)}`,
    ...(service.nodePort === undefined ? [] : [`external-${nftName(service)}`]),
    ...service.backends.map((backend) => `endpoint-${nftName(service, backend)}`),
  ];
}

function chainRules(service: ServedService, clusterCIDR: string): string[] {
  const name = nftName(service);
  const { clusterIP, nodePort, backends } = service;
  const choices = backends.map((backend, index) => `${index} : goto endpoint-${nftName(service, backend)}`).join(' , ');
  const rules = [
    `service-${name} ip daddr ${clusterIP} ip saddr != ${clusterCIDR} jump mark-for-masquerade`,
    `service-${name} numgen random mod ${backends.length} vmap { ${choices} }`,
    ...(nodePort === undefined
      ? []
      : [`external-${name} jump mark-for-masquerade`, `external-${name} goto service-${name}`]),
    ...backends.flatMap((backend) => {
      const chain = `endpoint-${nftName(service, backend)}`;
      const { address, port } = backend;
      return [
        `${chain} ip saddr ${address} jump mark-for-masquerade`,
        `${chain} meta l4proto ${protocolOf(service)} dnat to ${address}:${port}`,
      ];
    }),
  ];
  return rules.map((rule) => `add rule ${TABLE} ${rule}`);
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
