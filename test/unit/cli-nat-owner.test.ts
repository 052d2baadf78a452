// Who is behind a translated address and port: by live flow, by block, and why nobody is.
import { describe, expect, test } from 'vitest';
import { explainNobody, findNatOwner, type NodeTranslations, type PortBlock } from '../../src/cli/view/nat-owner.js';
import { indexPods } from '../../src/cli/view/pods.js';
import type { TranslationItem } from '../../src/cli/view/translation.js';
import type { Endpoint } from '../../src/model/endpoint.js';

const NOW = Date.parse('2026-11-21T12:00:00.000Z');
const RECORD: Endpoint = {
  containerID: 'c1',
  interfaceName: 'eth0',
  netns: '/run/netns/p1',
  namespace: 'shop',
  pod: 'web-0',
  podUID: 'uid-1',
  addresses: ['10.244.1.10', 'fd00:244:1::10'],
  mac: '02:00:00:00:00:01',
  hostInterface: 'ist1',
  ifindex: 5,
  mtu: 1500,
  nat: [{ address: '192.0.2.11', blocks: [1] }],
  created: '2026-11-21T10:00:00.000Z',
};
const NODE_BLOCK: PortBlock = { address: '192.0.2.11', host: true, natAddress: '192.0.2.11', first: 36864, count: 256 };
const POD_BLOCK: PortBlock = {
  address: '10.244.1.10',
  host: false,
  natAddress: '192.0.2.11',
  first: 37120,
  count: 256,
};
const POD_BLOCK_V6: PortBlock = { ...POD_BLOCK, address: 'fd00:244:1::10', natAddress: '2001:db8::11' };
const ORPHAN_BLOCK: PortBlock = { ...POD_BLOCK, address: '10.244.1.99', first: 37376 };
const FLOW: TranslationItem = {
  node: 'n1',
  protocol: 'tcp',
  translation: 'source',
  inside: { address: '10.244.1.10', port: 50000 },
  outside: { address: '192.0.2.11', port: 37121 },
  remote: { address: '198.51.100.9', port: 443 },
  state: 'established',
  ageSeconds: 60,
  idleSeconds: 1,
  packets: 1n,
  bytes: 1n,
};
const NODE: NodeTranslations = {
  node: 'n1',
  blocks: [NODE_BLOCK, POD_BLOCK, POD_BLOCK_V6, ORPHAN_BLOCK],
  pods: indexPods([RECORD]),
  flows: [],
  now: NOW,
};

test('without a flow the owner of the block is the answer', () => {
  expect(findNatOwner({ address: '192.0.2.11', port: 37375 }, NODE)).toEqual([
    {
      node: 'n1',
      owner: { kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'uid-1' },
      outside: { address: '192.0.2.11', port: 37375 },
      ports: { first: 37120, last: 37375 },
      evidence: 'block',
      inside: { address: '10.244.1.10' },
      since: '2026-11-21T10:00:00.000Z',
    },
  ]);
});

test('a block ends where its ports do', () => {
  const owners = [37119, 37120, 37375, 37632].map(
    (port) => findNatOwner({ address: '192.0.2.11', port }, NODE)[0]?.owner.kind,
  );
  expect(owners).toEqual(['Node', 'Pod', 'Pod', undefined]);
});

test('a live flow is shown with its inside, remote and begin', () => {
  expect(findNatOwner({ address: '192.0.2.11', port: 37121 }, { ...NODE, flows: [FLOW] })).toMatchObject([
    {
      owner: { kind: 'Pod', name: 'web-0' },
      evidence: 'flow',
      protocol: 'tcp',
      inside: { address: '10.244.1.10', port: 50000 },
      remote: { address: '198.51.100.9', port: 443 },
      state: 'established',
      since: '2026-11-21T11:59:00.000Z',
      ports: { first: 37120, last: 37375 },
    },
  ]);
});

test('one port that serves several remotes gives one row a flow', () => {
  const flows = [FLOW, { ...FLOW, remote: { address: '198.51.100.10', port: 443 } }];
  expect(findNatOwner({ address: '192.0.2.11', port: 37121 }, { ...NODE, flows })).toHaveLength(2);
});

test('flows of other ports are not the answer', () => {
  const items = findNatOwner({ address: '192.0.2.11', port: 37122 }, { ...NODE, flows: [FLOW] });
  expect(items.map((item) => item.evidence)).toEqual(['block']);
});

test('the translation address tells two families apart', () => {
  expect(findNatOwner({ address: '2001:db8::11', port: 37121 }, NODE)).toMatchObject([
    { inside: { address: 'fd00:244:1::10' }, owner: { name: 'web-0' } },
  ]);
});

test("the node's own block belongs to the node", () => {
  const [item] = findNatOwner({ address: '192.0.2.11', port: 36864 }, NODE);
  expect(item?.owner).toEqual({ kind: 'Node', name: 'n1' });
});

test('a client that reaches a backend through a port of the node is told from the pods', () => {
  const flow = {
    ...FLOW,
    inside: { address: '203.0.113.5', port: 1 },
    outside: { address: '192.0.2.11', port: 36870 },
  };
  const [item] = findNatOwner({ address: '192.0.2.11', port: 36870 }, { ...NODE, flows: [flow] });
  expect(item).toMatchObject({ owner: { kind: 'Node', name: 'n1' }, inside: { address: '203.0.113.5' } });
});

test('an owner without a record is named by its address', () => {
  const [item] = findNatOwner({ address: '192.0.2.11', port: 37376 }, NODE);
  expect(item?.owner).toEqual({ kind: 'Unknown', address: '10.244.1.99' });
  expect(item).not.toHaveProperty('since');
});

describe('nobody', () => {
  const ranges = {
    node: 'n1',
    blocks: NODE.blocks,
    natPorts: { first: 36864, last: 65535 },
    blockSize: 256,
    services: [],
  };

  test.each([
    [
      '192.0.2.11',
      443,
      "port 443 is outside of the NAT ports 36864-65535 of node n1: it belongs to the node's own sockets and services",
    ],
    [
      '192.0.2.11',
      40000,
      'port 40000 is in block 12 (39936-40191) of the NAT ports 36864-65535 of node n1, which no pod owns',
    ],
    ['192.0.2.99', 40000, 'node n1 translates to 192.0.2.11 and 2001:db8::11, not to 192.0.2.99'],
  ])('is behind %s port %d', (address, port, sentence) => {
    expect(explainNobody({ address, port }, ranges)).toBe(sentence);
  });

  test('is behind a frontend that no flow uses', () => {
    expect(explainNobody({ address: '192.0.2.11', port: 30080 }, { ...ranges, services: ['shop/web'] })).toBe(
      'it is the frontend of service shop/web on node n1, and no live flow uses it',
    );
  });

  test('is behind anything on a node that translates nothing', () => {
    const blocks = [{ ...NODE_BLOCK, natAddress: '::' }];
    expect(explainNobody({ address: '192.0.2.11', port: 1 }, { ...ranges, blocks })).toBe('node n1 translates nothing');
  });
});
