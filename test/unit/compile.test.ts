// The whole desired state to map contents, as sorted lines.
import { describe, expect, test } from 'vitest';
import { type CompileInput, compile } from '../../src/datapath/compile.js';
import { listCompiled, listIds } from '../../src/datapath/services.js';
import { ENDPOINT_FLAGS } from '../../src/datapath/types.gen.js';
import { aNetwork, aNode, anEndpoint, aPool, aService, aSlice, aSnapshot, backends, nat } from '../support/objects.js';
import { desiredTables, resolveFrontends, tableLines } from '../support/tables.js';

const nothing = { services: new Map(), backends: new Map() };
const network = aNetwork();
const nodes = [aNode(1), aNode(2)];

function compileOn(input: Partial<CompileInput> & Pick<CompileInput, 'snapshot'>) {
  return compile({ nodeName: 'node-1', endpoints: [], serviceIds: new Map(), have: nothing, ...input });
}

describe('endpoints', () => {
  test('are the node itself and its pods, each with its port block', () => {
    const endpoints = [
      anEndpoint(),
      anEndpoint({ containerID: 'c2', addresses: ['10.244.1.3'], ifindex: 9, nat: nat(111) }),
    ];
    expect(
      tableLines(compileOn({ snapshot: aSnapshot({ network, nodes }), endpoints }).endpoints),
    ).toMatchInlineSnapshot(`
      [
        "10.244.1.2 -> block_count=1 block_size=256 blocks=[37120 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0] flags=0 ifindex=7 mac=02:00:00:00:00:02 mtu=1500 nat_address=198.51.100.1",
        "10.244.1.3 -> block_count=1 block_size=256 blocks=[65280 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0] flags=0 ifindex=9 mac=02:00:00:00:00:02 mtu=1500 nat_address=198.51.100.1",
        "198.51.100.1 -> block_count=1 block_size=256 blocks=[36864 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0] flags=1 ifindex=0 mac=00:00:00:00:00:00 mtu=0 nat_address=198.51.100.1",
        "2001:db8::1 -> block_count=1 block_size=256 blocks=[36864 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0] flags=1 ifindex=0 mac=00:00:00:00:00:00 mtu=0 nat_address=2001:db8::1",
        "fd00:1:1:1::2 -> block_count=1 block_size=256 blocks=[37120 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0] flags=0 ifindex=7 mac=02:00:00:00:00:02 mtu=1500 nat_address=2001:db8::1",
      ]
    `);
  });

  test('have no translation address where the node has none or the family is not carried', () => {
    const node = aNode(1, { addresses: ['198.51.100.1'] });
    const dual = compileOn({ snapshot: aSnapshot({ network, nodes: [node] }), endpoints: [anEndpoint()] });
    expect(dual.endpoints.get('fd00:1:1:1::2')?.[1].nat_address).toBe('::');
    const { ipv4 } = network.families;
    const single = aNetwork({ families: { ...(ipv4 && { ipv4 }) } });
    const ipv4Only = compileOn({
      snapshot: aSnapshot({ network: single, nodes: [aNode(1)] }),
      endpoints: [anEndpoint()],
    });
    expect(ipv4Only.endpoints.get('fd00:1:1:1::2')?.[1].nat_address).toBe('::');
    expect(ipv4Only.endpoints.get('10.244.1.2')?.[1].nat_address).toBe('198.51.100.1');
  });

  test('own no ports when their block lies outside the range, which is a problem', () => {
    const desired = compileOn({ snapshot: aSnapshot({ network, nodes }), endpoints: [anEndpoint({ nat: nat(112) })] });
    expect(desired.endpoints.get('10.244.1.2')?.[1]).toMatchObject({ block_size: 0, block_count: 0 });
    expect(desired.problems.map(({ object, reason }) => `${object}: ${reason}`)).toEqual(
      ['10.244.1.2', 'fd00:1:1:1::2'].map(
        (address) =>
          `Pod shop/web-0: its address ${address} has no port block: none is left (see \`isthmus nat stats\`)`,
      ),
    );
  });

  test('own all their blocks that are usable, of the address that they are bound to', () => {
    const pool = aPool({ addresses: ['203.0.113.7', '203.0.113.99'] });
    const reserved = aNetwork({ reservedPorts: [{ first: 37_400, last: 37_400 }] });
    const bound = anEndpoint({ addresses: ['10.244.1.2'], nat: [{ address: '203.0.113.99', blocks: [5, 2, 0, 9] }] });
    const { endpoints, problems } = compileOn({
      snapshot: aSnapshot({ network: reserved, nodes: [aNode(1, { labels: { host: 'one' } })], pools: [pool] }),
      endpoints: [bound],
      growable: new Set(['10.244.1.2']),
    });
    expect(endpoints.get('10.244.1.2')?.[1]).toMatchObject({
      flags: ENDPOINT_FLAGS.ENDPOINT_MAY_GROW,
      nat_address: '203.0.113.99',
      block_size: 256,
      block_count: 3,
      blocks: [5, 0, 9, ...Array(13).fill(-144)].map((block) => 36_864 + 256 * block),
    });
    expect(problems).toEqual([]);
    // Answers are the datapath's; whatever else is sent there is the host's.
    for (const address of pool.addresses) {
      expect(endpoints.get(address)?.[1]).toMatchObject({ flags: ENDPOINT_FLAGS.ENDPOINT_HOST, block_count: 0 });
    }
  });

  test('have no ports of an address that is not the node’s any more', () => {
    const stray = anEndpoint({ addresses: ['10.244.1.2'], nat: [{ address: '203.0.113.99', blocks: [5] }] });
    const desired = compileOn({ snapshot: aSnapshot({ network, nodes }), endpoints: [stray] });
    expect(desired.endpoints.get('10.244.1.2')?.[1]).toMatchObject({ block_count: 0 });
    expect(desired.problems).toHaveLength(1);
  });
});

describe('routes', () => {
  test('lead to the other nodes, refuse the rest of the cluster, and leave exceptions and nodes to the host', () => {
    expect(tableLines(compileOn({ snapshot: aSnapshot({ network, nodes }) }).routes)).toMatchInlineSnapshot(`
      [
        "prefix=10.244.0.0 prefix_length=112 -> next_hop=:: type=3",
        "prefix=10.244.1.0 prefix_length=120 -> next_hop=:: type=3",
        "prefix=10.244.2.0 prefix_length=120 -> next_hop=198.51.100.2 type=1",
        "prefix=192.0.2.0 prefix_length=120 -> next_hop=:: type=2",
        "prefix=198.51.100.1 prefix_length=128 -> next_hop=198.51.100.1 type=2",
        "prefix=198.51.100.2 prefix_length=128 -> next_hop=198.51.100.2 type=2",
        "prefix=2001:db8::1 prefix_length=128 -> next_hop=2001:db8::1 type=2",
        "prefix=2001:db8::2 prefix_length=128 -> next_hop=2001:db8::2 type=2",
        "prefix=fd00:1:1:1:: prefix_length=64 -> next_hop=:: type=3",
        "prefix=fd00:1:1:2:: prefix_length=64 -> next_hop=2001:db8::2 type=1",
        "prefix=fd00:1:1:: prefix_length=48 -> next_hop=:: type=3",
      ]
    `);
  });

  test('leave out families that the cluster does not carry and nodes that have no address of one', () => {
    const other = aNode(2, { addresses: ['2001:db8::2'] });
    const { ipv4 } = network.families;
    const single = aNetwork({ families: { ...(ipv4 && { ipv4 }) } });
    expect(
      tableLines(compileOn({ snapshot: aSnapshot({ network: single, nodes: [aNode(1), other] }) }).routes),
    ).toEqual([
      'prefix=10.244.0.0 prefix_length=112 -> next_hop=:: type=3',
      'prefix=10.244.1.0 prefix_length=120 -> next_hop=:: type=3',
      'prefix=192.0.2.0 prefix_length=120 -> next_hop=:: type=2',
      'prefix=198.51.100.1 prefix_length=128 -> next_hop=198.51.100.1 type=2',
    ]);
  });

  test('reach a node that has the whole pod CIDR of the cluster, and never lead inside addresses out of it', () => {
    const families = {
      ipv4: { mode: 'Flat' as const, podCIDRs: ['10.244.2.0/24'], neverTranslate: ['10.244.2.128/25'] },
    };
    const snapshot = aSnapshot({ network: aNetwork({ families }), nodes: [aNode(1, { podCIDRs: [] }), aNode(2)] });
    expect(tableLines(compileOn({ snapshot }).routes)).toEqual([
      'prefix=10.244.2.0 prefix_length=120 -> next_hop=198.51.100.2 type=1',
      'prefix=198.51.100.1 prefix_length=128 -> next_hop=198.51.100.1 type=2',
      'prefix=198.51.100.2 prefix_length=128 -> next_hop=198.51.100.2 type=2',
    ]);
  });
});

describe('services', () => {
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }] as const;
  const web = aService('web', { clusterIPs: ['10.96.0.1', 'fd00:96::1'], externalIPs: ['192.0.2.5'], ports });
  const slices = [
    aSlice('web-1', 'web', { http: backends('10.244.2.3:8080', '10.244.1.2:8080', '10.244.1.9:8080!') }),
    aSlice('web-2', 'web', { http: backends('10.244.1.2:8080', '10.244.1.2:80'), other: backends('10.244.1.7:9') }),
    aSlice('web-3', 'web', { http: backends('[fd00:1:1:1::2]:8080') }),
    aSlice('api-1', 'api', { http: backends('10.244.1.8:8080') }),
  ];
  const snapshot = aSnapshot({ network, nodes, services: [web], slices });

  test('have an entry for each frontend, and ready backends of their port and family, each once', () => {
    const desired = compileOn({ snapshot });
    expect(tableLines(desiredTables(desired).services)).toMatchInlineSnapshot(`
      [
        "address=10.96.0.1 port=80 protocol=6 -> affinity=0 flags=0 id=1 sets=[backend_count=3 generation=1 backend_count=3 generation=1]",
        "address=192.0.2.5 port=80 protocol=6 -> affinity=0 flags=0 id=1 sets=[backend_count=3 generation=1 backend_count=3 generation=1]",
        "address=198.51.100.1 port=30080 protocol=6 -> affinity=0 flags=0 id=1 sets=[backend_count=3 generation=1 backend_count=3 generation=1]",
        "address=2001:db8::1 port=30080 protocol=6 -> affinity=0 flags=0 id=2 sets=[backend_count=1 generation=1 backend_count=1 generation=1]",
        "address=fd00:96::1 port=80 protocol=6 -> affinity=0 flags=0 id=2 sets=[backend_count=1 generation=1 backend_count=1 generation=1]",
      ]
    `);
    expect(tableLines(desiredTables(desired).backends)).toMatchInlineSnapshot(`
      [
        "generation=1 service_id=1 slot=0 -> address=10.244.1.2 port=80",
        "generation=1 service_id=1 slot=1 -> address=10.244.1.2 port=8080",
        "generation=1 service_id=1 slot=2 -> address=10.244.2.3 port=8080",
        "generation=1 service_id=2 slot=0 -> address=fd00:1:1:1::2 port=8080",
      ]
    `);
    expect([...listCompiled(desired.services)].map(({ id, unit }) => `${id} ${unit.name}`)).toEqual([
      '1 shop/web:http/TCP/ipv4',
      '2 shop/web:http/TCP/ipv6',
    ]);
  });

  test('without a ready backend have their frontends all the same', () => {
    const none = [aSlice('web-1', 'web', { http: backends('10.244.1.9:8080!') })];
    const desired = compileOn({ snapshot: aSnapshot({ network, nodes, services: [aService('web')], slices: none }) });
    expect(resolveFrontends(desiredTables(desired))).toEqual(['10.96.0.10:80/6 -> ']);
  });

  test('of several protocols and ports are kept apart', () => {
    const dns = aService('dns', {
      ports: [
        { name: 'udp', protocol: 'UDP', port: 53 },
        { name: 'tcp', protocol: 'TCP', port: 53 },
        { name: 'sctp', protocol: 'SCTP', port: 53 },
      ],
    });
    const slice = aSlice('dns', 'dns', { 'udp/UDP': backends('10.244.1.2:1'), tcp: backends('10.244.1.2:2') });
    const desired = compileOn({ snapshot: aSnapshot({ network, nodes, services: [dns], slices: [slice] }) });
    expect(resolveFrontends(desiredTables(desired))).toEqual([
      '10.96.0.10:53/132 -> ',
      '10.96.0.10:53/17 -> 10.244.1.2:1',
      '10.96.0.10:53/6 -> 10.244.1.2:2',
    ]);
  });

  test('that do not change keep ids and generations; a changed one gets the next generation', () => {
    const first = compileOn({ snapshot });
    const again = compileOn({ snapshot, have: desiredTables(first), serviceIds: listIds(first.services) });
    expect(desiredTables(again)).toEqual(desiredTables(first));
    const moved = [aSlice('web-1', 'web', { http: backends('10.244.2.9:8080') }), ...slices.slice(2)];
    const changed = compileOn({
      snapshot: aSnapshot({ network, nodes, services: [web], slices: moved }),
      have: desiredTables(first),
      serviceIds: listIds(first.services),
    });
    expect([...listCompiled(changed.services)].map(({ id, sets }) => [id, sets.cluster.generation])).toEqual([
      [1, 2],
      [2, 1],
    ]);
  });

  test('keep their ids when only the maps remember them', () => {
    const first = compileOn({ snapshot });
    const more = aSnapshot({ network, nodes, services: [aService('api'), web], slices });
    const restarted = compileOn({ snapshot: more, have: desiredTables(first) });
    expect(listIds(restarted.services).get('shop/web:http/TCP/ipv4')).toBe(1);
    expect(listIds(restarted.services).get('shop/api:http/TCP/ipv4')).toBe(3);
  });

  test('keep their ids when their addresses change', () => {
    const first = compileOn({ snapshot });
    const elsewhere = {
      ...web,
      clusterIPs: ['10.96.0.77'],
      externalIPs: [],
      ports: [{ ...ports[0], nodePort: 30999 }],
    };
    const moved = aSnapshot({ network, nodes, services: [elsewhere], slices });
    const ids = listIds(
      compileOn({ snapshot: moved, have: desiredTables(first), serviceIds: listIds(first.services) }).services,
    );
    expect(ids.get('shop/web:http/TCP/ipv4')).toBe(1);
  });

  test('do not share an id when one takes the address that another left', () => {
    const first = compileOn({ snapshot });
    const services = [aService('api', { clusterIPs: ['10.96.0.1'] }), { ...web, clusterIPs: ['10.96.0.2'] }];
    const swapped = aSnapshot({ network, nodes, services, slices });
    for (const serviceIds of [listIds(first.services), new Map()]) {
      const ids = [
        ...listIds(compileOn({ snapshot: swapped, have: desiredTables(first), serviceIds }).services).values(),
      ];
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  test('never get an id that an entry still bears', () => {
    const first = compileOn({ snapshot });
    const other = aSnapshot({ network, nodes, services: [aService('api', { clusterIPs: ['10.96.0.99'] })] });
    expect([...listIds(compileOn({ snapshot: other, have: desiredTables(first) }).services).values()]).toEqual([3]);
  });
});

test('config says what the snapshot knows', () => {
  expect(compileOn({ snapshot: aSnapshot({ network, nodes }) }).config).toMatchInlineSnapshot(`
    {
      "filtering": 1,
      "flow_limit": 0,
      "gateway": [
        "169.254.1.1",
        "fe80::1",
      ],
      "inside": [
        {
          "address": "10.244.0.0",
          "mask": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:0",
        },
        {
          "address": "fd00:1:1::",
          "mask": "ffff:ffff:ffff::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
      ],
      "inside_count": 2,
      "island": Uint8Array [
        1,
        0,
      ],
      "local": [
        {
          "address": "10.244.1.0",
          "mask": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00",
        },
        {
          "address": "fd00:1:1:1::",
          "mask": "ffff:ffff:ffff:ffff::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
      ],
      "local_count": 2,
      "nat_port_first": 36864,
      "nat_port_last": 65535,
      "node_address": [
        "198.51.100.1",
        "2001:db8::1",
      ],
      "node_port_first": 30000,
      "node_port_last": 32767,
      "random_ports": 1,
      "reserved": [
        {
          "first": 0,
          "last": 0,
        },
        {
          "first": 0,
          "last": 0,
        },
        {
          "first": 0,
          "last": 0,
        },
        {
          "first": 0,
          "last": 0,
        },
        {
          "first": 0,
          "last": 0,
        },
        {
          "first": 0,
          "last": 0,
        },
        {
          "first": 0,
          "last": 0,
        },
        {
          "first": 0,
          "last": 0,
        },
      ],
      "reserved_count": 0,
      "service_cidr_count": 0,
      "service_cidrs": [
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
        {
          "address": "::",
          "mask": "::",
        },
      ],
      "tcp_endpoint_independent": 0,
      "timeouts": {
        "icmp": 60,
        "tcp_closing": 240,
        "tcp_established": 7440,
        "tcp_opening": 240,
        "udp_one_way": 120,
        "udp_two_way": 300,
        "udp_well_known": 30,
      },
      "udp_endpoint_independent": 1,
      "unanswered_limit": 1024,
    }
  `);
});

test('nothing is compiled without the ClusterNetwork or without the node', () => {
  expect(() => compileOn({ snapshot: aSnapshot({ nodes }) })).toThrow(
    'cannot compile: the ClusterNetwork named default is missing or was refused; the maps stay as they are; apply it',
  );
  expect(() => compileOn({ snapshot: aSnapshot({ network, nodes: [aNode(2)] }) })).toThrow('Node node-1 is missing');
});
