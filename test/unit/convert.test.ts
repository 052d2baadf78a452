// API objects to the model.
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { checkSnapshot } from '../../src/model/check.js';
import type { EndpointSlice, Service } from '../../src/model/service.js';
import { convert, identify } from '../../src/source/convert.js';
import { readManifest } from '../../src/source/manifest.js';
import { aBackend, aService, aSnapshot } from '../support/objects.js';

const convertYaml = (text: string) => convert(parse(text))?.object;
const refusal = (text: string) => {
  try {
    convert(parse(text));
  } catch (error) {
    return (error as Error).message;
  }
  return 'was accepted';
};

describe('ClusterNetwork', () => {
  const network = (spec: string) => `
apiVersion: isthmus.dev/v1alpha1
kind: ClusterNetwork
metadata: {name: default}
spec: {clusterID: c1, ${spec}}`;

  test('is converted with defaults for what it does not say', () => {
    expect(convertYaml(network('ipv4: {mode: Island, podCIDRs: [10.244.9.9/16]}'))).toMatchInlineSnapshot(`
      {
        "blockOrder": "Random",
        "blockQuotas": {
          "initial": 1,
          "maximum": 4,
          "namespaces": {},
          "podsPerNode": 110,
        },
        "blockSize": 256,
        "clusterID": "c1",
        "families": {
          "ipv4": {
            "mode": "Island",
            "neverTranslate": [],
            "podCIDRs": [
              "10.244.0.0/16",
            ],
          },
        },
        "flowLimits": {
          "perPod": 0,
          "unansweredPerPod": 1024,
        },
        "natBehaviour": {
          "filtering": "AddressDependent",
          "tcpMapping": "EndpointDependent",
          "udpMapping": "EndpointIndependent",
        },
        "natPorts": {
          "first": 36864,
          "last": 65535,
        },
        "nodePorts": {
          "first": 30000,
          "last": 32767,
        },
        "portOrder": "Random",
        "reservedPorts": [],
        "reuseHold": 120,
        "timeouts": {
          "icmp": 60,
          "tcpClosing": 240,
          "tcpEstablished": 7440,
          "tcpOpening": 240,
          "udpOneWay": 120,
          "udpTwoWay": 300,
          "udpWellKnown": 30,
        },
      }
    `);
  });

  test('is converted with all that it says', () => {
    const spec = `ipv6: {mode: Flat, podCIDRs: ["FD00:1::/48"], masquerade: {exceptCIDRs: ["2001:DB8::/32"]}},
      nat: {ports: "40000-49999", blockSize: 64, nodePorts: "30000-30999"}, timeouts: {icmp: 5}`;
    expect(convertYaml(network(spec))).toMatchObject({
      families: { ipv6: { mode: 'Flat', podCIDRs: ['fd00:1::/48'], neverTranslate: ['2001:db8::/32'] } },
      natPorts: { first: 40000, last: 49999 },
      blockSize: 64,
      nodePorts: { first: 30000, last: 30999 },
      timeouts: { icmp: 5, tcpOpening: 240 },
    });
  });

  test.each([
    [
      'ipv4: {mode: Archipelago, podCIDRs: [10.0.0.0/8]}',
      'spec.ipv4.mode: Invalid option: expected one of "Flat"|"Island"',
    ],
    ['ipv4: {mode: Flat, podCIDRs: [10.0.0.0/33]}', "spec.ipv4.podCIDRs[0]: not a CIDR: '10.0.0.0/33'"],
    ['ipv4: {mode: Flat, podCIDRs: ["fd00::/48"]}', 'spec.ipv4.podCIDRs[0]: expected a CIDR of ipv4'],
    ['ipv4: {podCIDRs: [10.0.0.0/8]}', 'spec.ipv4.mode: Invalid option: expected one of "Flat"|"Island"'],
    ['globalPrefix: 100.64.0.0/16', 'spec: Unrecognized key: "globalPrefix"'],
    ['nat: {ports: "9-1"}', 'spec.nat.ports: expected first-last with 1 <= first <= last <= 65535'],
    ['nat: {ports: many}', 'spec.nat.ports: expected a range of ports such as 36864-65535'],
    ['nat: {blockSize: 300}', 'spec.nat.blockSize: 300 is not a power of two'],
    ['nat: {ports: "32000-65535"}', 'spec.nat.ports: 32000-65535 overlaps the node ports 30000-32767'],
    ['timeouts: {icmp: 0}', 'spec.timeouts.icmp: Too small: expected number to be >=1'],
  ])('is refused with %s', (spec, message) => {
    expect(refusal(network(spec))).toBe(message);
  });

  test('is refused under another name', () => {
    const text =
      'apiVersion: isthmus.dev/v1alpha1\nkind: ClusterNetwork\nmetadata: {name: other}\nspec: {clusterID: c1}';
    expect(refusal(text)).toBe("metadata.name: only the ClusterNetwork named 'default' is used");
  });
});

describe('Node', () => {
  const node = (rest: string) => `{apiVersion: v1, kind: Node, metadata: {name: a}, ${rest}}`;

  test('is converted with its internal addresses in their order (D3)', () => {
    const addresses = `[{type: Hostname, address: a}, {type: InternalIP, address: "2001:DB8::0:1"},
      {type: ExternalIP, address: 203.0.113.1}, {type: InternalIP, address: 198.51.100.1}]`;
    expect(
      convertYaml(node(`spec: {podCIDRs: [10.244.1.0/24, "fd00::/64"]}, status: {addresses: ${addresses}}`)),
    ).toEqual({
      name: 'a',
      addresses: ['2001:db8::1', '198.51.100.1'],
      podCIDRs: ['10.244.1.0/24', 'fd00::/64'],
    });
  });

  test('is converted with its zone (K23)', () => {
    const text = '{apiVersion: v1, kind: Node, metadata: {name: a, labels: {topology.kubernetes.io/zone: z1}}}';
    expect(convertYaml(text)).toMatchObject({ zone: 'z1' });
  });

  test.each([
    ['metadata: {name: a}, spec: {taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]}', true],
    ['metadata: {name: a, deletionTimestamp: "2026-03-04T05:06:07Z"}', true],
    ['metadata: {name: a}, spec: {taints: [{key: node.kubernetes.io/unschedulable, effect: NoSchedule}]}', undefined],
  ])('with %s is leaving: %j (K41)', (rest, leaving) => {
    expect(convertYaml(`{apiVersion: v1, kind: Node, ${rest}}`)).toHaveProperty('name', 'a');
    expect((convertYaml(`{apiVersion: v1, kind: Node, ${rest}}`) as { leaving?: true }).leaving).toBe(leaving);
  });

  test('may have no address and no pod CIDR yet', () => {
    expect(convertYaml(node('spec: {}'))).toEqual({ name: 'a', addresses: [], podCIDRs: [] });
  });

  test('may say its only pod CIDR in the old field', () => {
    expect(convertYaml(node('spec: {podCIDR: 10.244.1.0/24}'))).toMatchObject({ podCIDRs: ['10.244.1.0/24'] });
  });

  test('is refused when an internal address is a name', () => {
    expect(refusal(node('status: {addresses: [{type: InternalIP, address: node-a}]}'))).toBe(
      "status.addresses[0].address: not an IP address: 'node-a'",
    );
  });
});

describe('Service', () => {
  const service = (spec: string, rest = '') => `
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {${spec}}${rest}}`;

  test('is converted with its addresses and ports', () => {
    const spec = `type: LoadBalancer, clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00:96::1"], externalIPs: [203.0.113.9],
      ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, protocol: UDP, port: 53}]`;
    const status =
      ', status: {loadBalancer: {ingress: [{ip: 192.0.2.5}, {hostname: lb}, {ip: 192.0.2.6, ipMode: Proxy}]}}';
    expect(convertYaml(service(spec, status))).toEqual({
      namespace: 'shop',
      name: 'web',
      clusterIPs: ['10.96.0.1', 'fd00:96::1'],
      externalIPs: ['203.0.113.9'],
      loadBalancerIPs: ['192.0.2.5'],
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 },
        { name: 'dns', protocol: 'UDP', port: 53 },
      ],
      internalTrafficPolicy: 'Cluster',
      externalTrafficPolicy: 'Cluster',
      affinityTimeout: 0,
      sourceRanges: [],
      loadBalancing: 'Random',
    });
  });

  test.each([
    ['headless (K2)', 'clusterIP: None, ports: [{port: 80}]'],
    ['headless in the list (K2)', 'clusterIPs: [None], ports: [{port: 80}]'],
    ['without an address yet (K2)', 'clusterIP: "", ports: [{port: 80}]'],
    ['an ExternalName (K2)', 'type: ExternalName, externalName: example.com'],
  ])('is ignored when it is %s', (_, spec) => {
    expect(convertYaml(service(spec))).toBeUndefined();
  });

  test.each(['service-proxy-name: other', 'service-proxy-name: ""', 'headless: ""'])(
    'is ignored with the label service.kubernetes.io/%s (K1)',
    (label) => {
      const labels = `{service.kubernetes.io/${label}}`;
      const text = `{apiVersion: v1, kind: Service, metadata: {name: web, labels: ${labels}}, spec: {clusterIP: 10.96.0.1}}`;
      expect(convertYaml(text)).toBeUndefined();
    },
  );

  test('is converted with policies, affinity, source ranges and health check port (K5, K20, K26, K42)', () => {
    const spec = `type: LoadBalancer, clusterIP: 10.96.0.1, internalTrafficPolicy: Local, externalTrafficPolicy: Local,
      sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, healthCheckNodePort: 31000,
      loadBalancerSourceRanges: [" 203.0.113.9/24 ", "2001:DB8::/32"]`;
    expect(convertYaml(service(spec))).toMatchObject({
      internalTrafficPolicy: 'Local',
      externalTrafficPolicy: 'Local',
      affinityTimeout: 60,
      sourceRanges: ['203.0.113.0/24', '2001:db8::/32'],
      healthCheckNodePort: 31000,
    });
    expect(convertYaml(service('clusterIP: 10.96.0.1, sessionAffinity: ClientIP'))).toMatchObject({
      affinityTimeout: 10_800,
    });
  });

  test.each([
    'type: NodePort, externalTrafficPolicy: Local, healthCheckNodePort: 31000',
    'type: LoadBalancer, externalTrafficPolicy: Cluster, healthCheckNodePort: 31000',
    'type: LoadBalancer, healthCheckNodePort: 31000',
    'type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 0',
  ])('has no health check port with %s (K42)', (spec) => {
    expect(convertYaml(service(`clusterIP: 10.96.0.1, ${spec}`))).not.toHaveProperty('healthCheckNodePort');
  });

  test.each([
    ['{ip: 192.0.2.5}', ['192.0.2.5']],
    ['{ip: 192.0.2.5, ipMode: VIP}', ['192.0.2.5']],
    ['{ip: 192.0.2.5, ipMode: Proxy}', []],
    ['{hostname: lb.example.com}', []],
    ['{ip: "", hostname: lb.example.com}', []],
  ])('with the ingress %s captures %j (K11)', (ingress, captured) => {
    const status = `, status: {loadBalancer: {ingress: [${ingress}]}}`;
    expect(convertYaml(service('type: LoadBalancer, clusterIP: 10.96.0.1', status))).toMatchObject({
      loadBalancerIPs: captured,
    });
  });

  test('is converted with the way to choose a backend, which must be one that is known', () => {
    const text = (way: string) =>
      `{apiVersion: v1, kind: Service, metadata: {name: web, annotations: {isthmus.dev/load-balancing: ${way}}}, spec: {clusterIP: 10.96.0.1}}`;
    expect(convertYaml(text('Maglev'))).toMatchObject({ loadBalancing: 'Maglev' });
    expect(refusal(text('Magic'))).toBe(
      'metadata.annotations["isthmus.dev/load-balancing"]: Invalid option: expected one of "Random"|"Maglev"',
    );
  });

  test('says whether nodes hand its packets over; a word that is not known is kept for a warning', () => {
    const text = (mode: string) =>
      `{apiVersion: v1, kind: Service, metadata: {name: web, annotations: {isthmus.dev/forwarding-mode: ${mode}}}, spec: {clusterIP: 10.96.0.1}}`;
    expect(convertYaml(text('DirectReturn'))).toMatchObject({ forwardingMode: 'DirectReturn' });
    const unknown = convertYaml(text('Bounce')) as Service;
    expect([unknown.forwardingMode, unknown.unknownForwardingMode]).toEqual([undefined, 'Bounce']);
    const { services, problems } = checkSnapshot(aSnapshot({ services: [aService('web', unknown)] }));
    expect(services.size).toBe(1);
    expect(problems).toEqual([
      {
        where: 'Service default/web',
        object: 'Service default/web',
        reason:
          "its annotation isthmus.dev/forwarding-mode is 'Bounce', neither Translated nor DirectReturn: " +
          "it is forwarded by the ClusterNetwork's default, Translated",
        code: 'UnknownValue',
        inForce: 'the rest of it',
      },
    ]);
  });

  test('is refused with every violation in one sentence each', () => {
    expect(
      refusal(service('clusterIP: 10.96.0, ports: [{port: 0}, {port: 80, protocol: GRE}, {name: x}]')),
    ).toMatchInlineSnapshot(
      `"spec.clusterIP: not an IP address: '10.96.0'; spec.ports[0].port: Too small: expected number to be >=1; spec.ports[1].protocol: Invalid option: expected one of "TCP"|"UDP"|"SCTP"; spec.ports[2].port: is missing: expected number"`,
    );
  });
});

describe('EndpointSlice', () => {
  const slice = (rest: string) => `
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, namespace: shop,
  labels: {kubernetes.io/service-name: web}}, ${rest}}`;

  test.each([
    ['"2026-03-04T05:06:07.123456789Z"', { trigger: { family: 'ipv6', time: Date.parse('2026-03-04T05:06:07.123Z') } }],
    ['yesterday', {}],
    ['', {}],
  ])('is converted with the time of its trigger %s (K44)', (text, trigger) => {
    const annotations = `{endpoints.kubernetes.io/last-change-trigger-time: ${text}}`;
    const yaml = slice('addressType: IPv6').replace('name: web-1,', `name: web-1, annotations: ${annotations},`);
    expect(convertYaml(yaml)).toEqual({
      namespace: 'shop',
      name: 'web-1',
      serviceName: 'web',
      backends: {},
      ...trigger,
    });
  });

  test('is converted to backends by port name and protocol (K4, K6)', () => {
    const endpoints = `[{addresses: [10.244.1.2], nodeName: a, zone: z1}, {addresses: [10.244.1.3, 10.244.9.9],
      conditions: {ready: false, serving: true, terminating: true}}, {addresses: [10.244.1.4], conditions: {},
      hints: {forZones: [{name: z1}], forNodes: [{name: a}, {name: b}]}}]`;
    expect(convertYaml(slice(`addressType: IPv4, endpoints: ${endpoints}, ports: [{name: http, port: 8080}]`))).toEqual(
      {
        namespace: 'shop',
        name: 'web-1',
        serviceName: 'web',
        backends: {
          'http/TCP': [
            aBackend({ nodeName: 'a', zone: 'z1' }),
            aBackend({ address: '10.244.1.3', ready: false, terminating: true }),
            aBackend({ address: '10.244.1.4', zoneHints: ['z1'], nodeHints: ['a', 'b'] }),
          ],
        },
      },
    );
  });

  test('keeps ports of one name and several protocols apart (K3, K13)', () => {
    const ports = '[{name: dns, port: 53}, {name: dns, protocol: UDP, port: 54}]';
    expect(
      convertYaml(slice(`addressType: IPv4, endpoints: [{addresses: [10.244.1.2]}], ports: ${ports}`)),
    ).toMatchObject({ backends: { 'dns/TCP': [{ port: 53 }], 'dns/UDP': [{ port: 54 }] } });
  });

  test('has one empty port name when the port has none, and no port without a number (K3)', () => {
    const ports = '[{port: 80}, {name: any}, {name: zero, port: 0}]';
    const text = slice(`addressType: IPv6, endpoints: [{addresses: ["FD00::2"]}], ports: ${ports}`);
    expect(convertYaml(text)).toMatchObject({ backends: { '/TCP': [{ address: 'fd00::2', port: 80, ready: true }] } });
    expect(Object.keys((convertYaml(text) as EndpointSlice).backends)).toEqual(['/TCP']);
  });

  test('may have no endpoints', () => {
    expect(convertYaml(slice('addressType: IPv4, endpoints: null, ports: null'))).toMatchObject({ backends: {} });
  });

  test('is ignored when it holds names (D4)', () => {
    expect(convertYaml(slice('addressType: FQDN, endpoints: [{addresses: [example.com]}]'))).toBeUndefined();
  });

  test('skips endpoints of the other family (D4, K5)', () => {
    const endpoints = '[{addresses: ["fd00::2"]}, {addresses: [10.244.1.2]}]';
    expect(convertYaml(slice(`addressType: IPv4, endpoints: ${endpoints}, ports: [{port: 80}]`))).toMatchObject({
      backends: { '/TCP': [{ address: '10.244.1.2' }] },
    });
  });

  test('is ignored when it belongs to a headless Service (K1)', () => {
    const labels = '{kubernetes.io/service-name: web, service.kubernetes.io/headless: ""}';
    const text = `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x, labels: ${labels}}, addressType: IPv4}`;
    expect(convertYaml(text)).toBeUndefined();
  });

  test('is refused without the name of its Service', () => {
    const text = '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x}, addressType: IPv4}';
    expect(refusal(text)).toBe(
      'metadata.labels["kubernetes.io/service-name"]: is missing: expected the name of the Service',
    );
  });
});

describe('any object', () => {
  test('is ignored when it is one of Kubernetes that we have no use for', () => {
    expect(convertYaml('{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}')).toBeUndefined();
  });

  test('is refused when its kind is not known', () => {
    expect(refusal('{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web}}')).toBe(
      'kind: NetworkPolicy is not a kind that is known here',
    );
  });

  test('is refused in another version', () => {
    expect(refusal('{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: {name: x}}')).toBe(
      'apiVersion: EndpointSlice is read in discovery.k8s.io/v1, not in discovery.k8s.io/v1beta1',
    );
  });

  test.each(['text', '[]', '{}', '{kind: 5}', 'null'])('is refused when it is %s', (text) => {
    expect(refusal(text)).toBe('kind: is missing');
  });

  test('is known by kind, namespace and name also when it is not valid', () => {
    expect(identify(parse('{kind: Service, metadata: {name: web}, spec: 5}'))).toEqual({
      kind: 'Service',
      key: 'default/web',
    });
    expect(identify(parse('{kind: Node, metadata: {name: a, namespace: x}}'))).toEqual({ kind: 'Node', key: 'a' });
    expect(identify(parse('{kind: Node, metadata: {}}'))).toBeUndefined();
  });
});

test('JSON tells the lines of what it holds, as YAML does', () => {
  const service = (name: string, port: number): object => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { clusterIP: '10.96.0.1', ports: [{ port }] },
  });
  const list = { apiVersion: 'v1', kind: 'List', items: [service('web', 80), service('bad', 0)] };
  const { accepted, refused, complete } = readManifest('all.json', JSON.stringify(list, undefined, 2));
  expect(accepted).toMatchObject([{ name: 'Service default/web', file: 'all.json', where: 'all.json:5' }]);
  expect(refused).toMatchObject([{ name: 'Service default/bad', where: 'all.json:30' }]);
  expect(complete).toBe(true);
});
