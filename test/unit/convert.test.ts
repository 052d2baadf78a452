// API objects to the model.
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { convert, identify } from '../../src/source/convert.js';

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

  test('is converted with its internal addresses in their order', () => {
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
      externalAddresses: ['192.0.2.5', '203.0.113.9'],
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 },
        { name: 'dns', protocol: 'UDP', port: 53 },
      ],
    });
  });

  test.each([
    ['headless', 'clusterIP: None, ports: [{port: 80}]'],
    ['headless in the list', 'clusterIPs: [None], ports: [{port: 80}]'],
    ['an ExternalName', 'type: ExternalName, externalName: example.com'],
  ])('is ignored when it is %s', (_, spec) => {
    expect(convertYaml(service(spec))).toBeUndefined();
  });

  test('is ignored when it is given to another proxy', () => {
    const labels = '{service.kubernetes.io/service-proxy-name: other}';
    const text = `{apiVersion: v1, kind: Service, metadata: {name: web, labels: ${labels}}, spec: {clusterIP: 10.96.0.1}}`;
    expect(convertYaml(text)).toBeUndefined();
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

  test('is converted to backends by port name', () => {
    const endpoints = `[{addresses: [10.244.1.2]}, {addresses: [10.244.1.3], conditions: {ready: false}},
      {addresses: [10.244.1.4], conditions: {}}]`;
    expect(convertYaml(slice(`addressType: IPv4, endpoints: ${endpoints}, ports: [{name: http, port: 8080}]`))).toEqual(
      {
        namespace: 'shop',
        name: 'web-1',
        serviceName: 'web',
        backends: {
          http: [
            { address: '10.244.1.2', port: 8080, ready: true },
            { address: '10.244.1.3', port: 8080, ready: false },
            { address: '10.244.1.4', port: 8080, ready: true },
          ],
        },
      },
    );
  });

  test('has one empty port name when the port has none, and no port without a number', () => {
    const text = slice('addressType: IPv6, endpoints: [{addresses: ["FD00::2"]}], ports: [{port: 80}, {name: any}]');
    expect(convertYaml(text)).toMatchObject({ backends: { '': [{ address: 'fd00::2', port: 80, ready: true }] } });
  });

  test('may have no endpoints', () => {
    expect(convertYaml(slice('addressType: IPv4, endpoints: null, ports: null'))).toMatchObject({ backends: {} });
  });

  test('is ignored when it holds names', () => {
    expect(convertYaml(slice('addressType: FQDN, endpoints: [{addresses: [example.com]}]'))).toBeUndefined();
  });

  test('is refused when an address is of the other family', () => {
    expect(refusal(slice('addressType: IPv4, endpoints: [{addresses: ["fd00::2"]}]'))).toBe(
      'endpoints[0].addresses[0]: fd00::2 is not an address of addressType IPv4',
    );
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
