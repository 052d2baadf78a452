// D1 to D12, what two families on one node mean, with a real agent and real stacks. D6 is in ipv6-only.test.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GATEWAY_MAC } from '../../src/agent/wiring.js';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { nodeObject } from '../support/node-manifests.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';
import { serviceObject, sliceObjects } from '../support/service-manifests.js';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const POD_CIDRS = { ipv4: '10.244.1.0/24', ipv6: 'fd00:244:1::/64' };
const NODE_PORT = 30_080;
const PORTS = { port: 80, targetPort: PORT };
const NO_POLICIES = 'skipped: there are no network policies yet';

let node: AgentNode;
let web: { ipv4: string; ipv6: string };
let client: { ipv4: string; ipv6: string };

const who = (from: string, address: string, port: number, protocol = 'tcp') =>
  node.probe(from, protocol, address, String(port), 'who', '--timeout', '1000');
const reaches = (from: string, address: string, port: number) => async (): Promise<boolean> =>
  (await who(from, address, port)).ok;
const sysctl = async (place: string, name: string): Promise<string> =>
  (await node.exec(place, ['cat', `/proc/sys/net/${name}`])).stdout.trim();

/** Replaces all Services of the test, which are in force a moment later. */
function serve(...objects: object[]): void {
  node.write('services.yaml', ...objects);
}

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
  await node.startAgent();
  web = await node.addPod('web');
  client = await node.addPod('client');
  await node.startServer('web');
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

describe('addresses of pods', () => {
  test.each([
    ['IPv4 first', [POD_CIDRS.ipv4, POD_CIDRS.ipv6], [/^10\.244\.1\./, /^fd00:244:1::/]],
    ['IPv6 first', [POD_CIDRS.ipv6, POD_CIDRS.ipv4], [/^fd00:244:1::/, /^10\.244\.1\./]],
    ['IPv6 only', [POD_CIDRS.ipv6], [/^fd00:244:1::/]],
  ])('D1 D2: are in the order of the pod CIDRs of their node: %s', async (name, podCIDRs, wanted) => {
    node.write('node.yaml', nodeObject('n1', [NODE.ipv4, NODE.ipv6], podCIDRs));
    const pod = `order${wanted.length}${name.slice(3, 4)}`;
    await node.addNamespace(pod);
    const addresses = async (): Promise<string[]> => {
      const { json } = await node.cni('ADD', pod);
      const given = (json.ips ?? []).map(({ address }) => address);
      const good = given.length === wanted.length && given.every((address, at) => wanted[at]?.test(address));
      // The file is read a moment after it was written.
      if (!good) await node.cni('DEL', pod);
      return good ? given : [];
    };
    expect(await until(async () => (await addresses()).length > 0, 20_000), node.tail()).toBe(true);
    expect(await node.cni('CHECK', pod)).toMatchObject({ status: 0 });
    await node.deletePod(pod);
    node.writeNode(POD_CIDRS.ipv4, POD_CIDRS.ipv6);
  });

  test('D3: pods reach the node by its addresses of both families', async () => {
    await node.startServer('node');
    for (const family of FAMILIES) expect(await who('client', NODE[family], PORT)).toMatchObject({ ok: true });
  });

  test('D7: an IPv6 address is used at once: nobody waits for the detection of duplicates', async () => {
    await node.addNamespace('quick');
    expect(await node.cni('ADD', 'quick')).toMatchObject({ status: 0 });
    const flags = await node.ip('quick', '-6 -o addr show dev eth0 scope global');
    expect(flags).toContain(POD_CIDRS.ipv6.replace('/64', ''));
    expect(flags).not.toMatch(/tentative|dadfailed/);
    expect(await who('quick', OUTSIDE.ipv6, PORT)).toMatchObject({ ok: true });
    await node.deletePod('quick');
  });

  test('D7: the gateway of pods answers solicitations, and no pod is found on the link of another', async () => {
    expect(await who('client', OUTSIDE.ipv6, PORT)).toMatchObject({ ok: true });
    expect(await node.ip('client', '-6 neigh show fe80::1')).toContain(`lladdr ${GATEWAY_MAC} router`);
    await node.ip('client', `-6 route add ${web.ipv6}/128 dev eth0`);
    expect((await node.exec('client', ['ping', '-6', '-c', '1', '-W', '1', web.ipv6])).status).not.toBe(0);
    expect(await node.ip('client', `-6 neigh show ${web.ipv6}`)).not.toContain('lladdr');
    await node.ip('client', `-6 route del ${web.ipv6}/128 dev eth0`);
    expect((await node.exec('client', ['ping', '-6', '-c', '1', '-W', '1', web.ipv6])).status).toBe(0);
  });

  test('D7: the node forwards for pods, and takes no router advertisements of theirs', async () => {
    const [device = ''] = await node.podDevices();
    expect(await sysctl('node', `ipv6/conf/${device}/accept_ra`)).toBe('0');
    expect(await sysctl('node', `ipv6/conf/${device}/forwarding`)).toBe('1');
    expect(await sysctl('node', 'ipv6/conf/all/forwarding')).toBe('1');
    expect(await sysctl('node', 'ipv6/conf/eth0/accept_ra')).not.toBe('1');
  });

  test('D8: the device of a pod takes the 1280 bytes that IPv6 asks for', async () => {
    const [link] = JSON.parse(await node.ip('client', '-j link show dev eth0')) as { mtu: number }[];
    expect(link?.mtu).toBeGreaterThanOrEqual(1280);
    expect((await node.exec('client', ['ping', '-6', '-M', 'do', '-s', '1232', '-c', '1', OUTSIDE.ipv6])).status).toBe(
      0,
    );
  });

  test('D9: fragments arrive, translated as the others', async () => {
    for (const address of [OUTSIDE.ipv6, web.ipv6]) {
      expect((await node.exec('client', ['ping', '-6', '-s', '4000', '-c', '1', '-W', '2', address])).status).toBe(0);
    }
  });

  test('D10: pods see each other; outside sees the node only because this IPv6 is an island', async () => {
    expect(sawOf(await who('client', web.ipv6, PORT)).address).toBe(client.ipv6);
    expect(sawOf(await who('client', OUTSIDE.ipv6, PORT)).address).toBe(NODE.ipv6);
  });
});

describe('Services', () => {
  const dual = (...clusterIPs: string[]): object => serviceObject({ ...PORTS, name: 'web', clusterIPs });
  const both = { ipv4: '10.96.0.10', ipv6: 'fd00:96::10' };
  const backends = (families: readonly ('ipv4' | 'ipv6')[]): object[] =>
    sliceObjects(
      'web',
      PORT,
      families.map((family) => ({ address: web[family] })),
    );

  test.each([
    ['ipv4', 'ipv6'],
    ['ipv6', 'ipv4'],
  ] as const)('D4: with an address of each family, %s first, both are served', async (first, second) => {
    serve(dual(both[first], both[second]), ...backends(FAMILIES));
    for (const family of FAMILIES) {
      expect(await until(reaches('client', both[family], 80), 5000), family).toBe(true);
      expect(sawOf(await who('client', both[family], 80)).address).toBe(client[family]);
    }
  });

  test.each(FAMILIES)(
    'D4: with an address of %s alone, slices of the other family and of names do not matter',
    async (family) => {
      const names = {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'web-names', namespace: 'test', labels: { 'kubernetes.io/service-name': 'web' } },
        addressType: 'FQDN',
        endpoints: [{ addresses: ['web.example.com'] }],
        ports: [{ name: 'tcp', protocol: 'TCP', port: PORT }],
      };
      serve(dual(both[family]), ...backends(FAMILIES), names);
      const backendAddresses = (): string =>
        node
          .entries<unknown, { address: string }>('backends')
          .map(([, { address }]) => address)
          .sort()
          .join();
      // Of TCP and of UDP.
      expect(await until(() => backendAddresses() === `${web[family]},${web[family]}`, 5000), backendAddresses()).toBe(
        true,
      );
      expect(await until(reaches('client', both[family], 80), 5000)).toBe(true);
      const { state } = await node.waitFor(() => true);
      expect(state.problems).toEqual([]);
    },
  );

  test.each([
    ['ipv4', 'ipv6'],
    ['ipv6', 'ipv4'],
  ] as const)(
    'D5: with endpoints of %s alone, its node port is served, and that of the other is refused',
    async (with_, without) => {
      const more = { sessionAffinity: 'ClientIP' };
      const service = serviceObject({
        ...PORTS,
        name: 'web',
        clusterIPs: Object.values(both),
        nodePort: NODE_PORT,
        more,
      });
      serve(service, ...backends([with_]));
      expect(await until(reaches('outside', NODE[with_], NODE_PORT), 5000)).toBe(true);
      const refused = async (): Promise<boolean> =>
        (await who('outside', NODE[without], NODE_PORT)).error === 'ECONNREFUSED';
      expect(await until(refused, 5000)).toBe(true);
    },
  );

  test('D5: a load balancer address of one family leaves the other with its node port, each with its own policy Local', async () => {
    const vip = '2001:db8:cb::10';
    const more = { externalTrafficPolicy: 'Local' };
    const service = serviceObject({
      ...PORTS,
      name: 'web',
      clusterIPs: Object.values(both),
      vips: [vip],
      nodePort: NODE_PORT,
      more,
    });
    const elsewhere = sliceObjects('web', PORT, [{ address: web.ipv6 }, { address: '10.244.7.7', nodeName: 'n7' }]);
    await node.ip('outside', `route replace ${vip}/128 via ${NODE.ipv6}`);
    serve(service, ...elsewhere);
    expect(await until(reaches('outside', vip, 80), 5000)).toBe(true);
    expect(sawOf(await who('outside', vip, 80)).address).toBe(OUTSIDE.ipv6);
    expect(await who('outside', NODE.ipv6, NODE_PORT)).toMatchObject({ ok: true });
    const silent = async (): Promise<boolean> => (await who('outside', NODE.ipv4, NODE_PORT)).error === 'ETIMEDOUT';
    expect(await until(silent, 5000)).toBe(true);
  });

  test('D12: an external IP is known however it is written', async () => {
    const written = '2001:DB8::cb00:71fa';
    const more = { externalIPs: [written] };
    serve(serviceObject({ ...PORTS, name: 'web', clusterIPs: [both.ipv6], more }), ...backends(['ipv6']));
    await node.ip('outside', `route replace ${written}/128 via ${NODE.ipv6}`);
    for (const from of ['client', 'outside']) {
      expect(await until(reaches(from, '2001:db8::cb00:71fa', 80), 5000), from).toBe(true);
    }
  });
});

describe('network policies', () => {
  test.skip(`D8: neighbour discovery and ICMPv6 errors pass every NetworkPolicy (${NO_POLICIES})`, () => {});

  test.skip(`D11: ipBlock with ::/0, exceptions and single addresses (${NO_POLICIES})`, () => {});
});
