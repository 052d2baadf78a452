// Our kinds in a real API server: the definitions are taken, good objects too, and bad ones refused with a reason.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { ApiClient } from '../../src/kubernetes/api-client.js';
import { DEFINITIONS } from '../../src/source/crd.js';
import { ApiServer, findAssets, NO_ASSETS } from '../support/api-server.js';
import { installDefinitions } from '../support/definitions.js';

const assets = findAssets();
const NETWORKS = '/apis/isthmus.dev/v1alpha1/clusternetworks';
const POOLS = '/apis/isthmus.dev/v1alpha1/egresspools';
const POD_POOLS = '/apis/isthmus.dev/v1alpha1/podpools';

describe.skipIf(assets === undefined)(`definitions in a real API server (${NO_ASSETS})`, () => {
  let server: ApiServer;
  let client: ApiClient;

  beforeAll(async () => {
    server = await ApiServer.start(assets ?? '');
    client = await server.client();
    await installDefinitions(client);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  /** As kubectl does it: an unknown field is an error. */
  const create = (path: string, yaml: string) =>
    client.json({ method: 'POST', path, body: parse(yaml), query: { fieldValidation: 'Strict', dryRun: 'All' } });
  const network = (spec: string, name = 'default') =>
    create(
      NETWORKS,
      `{apiVersion: isthmus.dev/v1alpha1, kind: ClusterNetwork, metadata: {name: ${name}}, spec: ${spec}}`,
    );
  const pool = (spec: string) =>
    create(POOLS, `{apiVersion: isthmus.dev/v1alpha1, kind: EgressPool, metadata: {name: web}, spec: ${spec}}`);

  const podPool = (spec: string) =>
    create(POD_POOLS, `{apiVersion: isthmus.dev/v1alpha1, kind: PodPool, metadata: {generateName: p}, spec: ${spec}}`);

  test('the definitions are structural, and their rules compile and are cheap enough', async () => {
    const { items } = (await client.json({
      path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    })) as { items: { metadata: { name: string }; status: { conditions: { type: string; status: string }[] } }[] };
    const names = items.map(({ metadata }) => metadata.name);
    expect(names.sort()).toEqual(DEFINITIONS.map(({ plural }) => `${plural}.isthmus.dev`).sort());
    for (const { status } of items) {
      const bad = status.conditions.filter(({ type }) => type === 'NonStructuralSchema');
      expect(bad).toEqual([]);
      expect(status.conditions).toContainEqual(expect.objectContaining({ type: 'Established', status: 'True' }));
    }
  });

  test.each([
    '{clusterID: c1, ipv4: {mode: Island, podCIDRs: [10.244.0.0/16]}}',
    `{clusterID: c1, ipv4: {mode: Island, podCIDRs: [10.244.0.0/16, 10.245.0.0/16]},
      ipv6: {mode: Flat, podCIDRs: ['2001:db8:1::/56'], masquerade: {exceptCIDRs: ['2001:db8::/32']}},
      nat: {ports: 36864-65535, blockSize: 256, blocksPerPod: {initial: 2, maximum: 4}, nodePorts: 30000-32767,
            reservedPorts: [40000-40010], blocksPerNamespace: {default: 5, namespaces: {shop: 9}}},
      timeouts: {tcpEstablished: 7440}, serviceCIDRs: [10.96.0.0/16], nodePortAddresses: [primary, 192.0.2.0/24]}`,
  ])('a good ClusterNetwork: %s', async (spec) => {
    expect(await network(spec)).toMatchObject({ kind: 'ClusterNetwork', spec: parse(spec) });
  });

  test.each([
    ['{clusterID: c1}', 'other', "only the ClusterNetwork named 'default' is used"],
    ['{ipv4: {mode: Island, podCIDRs: [10.244.0.0/16]}}', undefined, 'spec.clusterID: Required value'],
    [
      '{clusterID: c1, ipv4: {mode: island, podCIDRs: [10.244.0.0/16]}}',
      undefined,
      'spec.ipv4.mode: Unsupported value',
    ],
    ['{clusterID: c1, ipv4: {mode: Flat, podCIDRs: [10.244.0.0]}}', undefined, 'expected a CIDR of IPv4'],
    ["{clusterID: c1, ipv4: {mode: Flat, podCIDRs: ['fd00::/48']}}", undefined, 'expected a CIDR of IPv4'],
    ['{clusterID: c1, ipv4: {mode: Flat, podCIDRs: []}}', undefined, 'should have at least 1 items'],
    [
      '{clusterID: c1, nat: {blockSize: 100}}',
      undefined,
      'spec.nat.blockSize: Invalid value: 100: is not a power of two',
    ],
    ['{clusterID: c1, nat: {ports: 1000-2000}}', undefined, 'begins below 1024'],
    ['{clusterID: c1, nat: {ports: 3000-2000}}', undefined, 'expected first-last with 1 <= first <= last <= 65535'],
    ['{clusterID: c1, nat: {ports: many}}', undefined, 'spec.nat.ports'],
    ['{clusterID: c1, nat: {ports: 30000-50000, nodePorts: 32000-32767}}', undefined, 'ports and nodePorts overlap'],
    ['{clusterID: c1, nat: {blocksPerPod: {initial: 5, maximum: 4}}}', undefined, 'initial is more than maximum'],
    ['{clusterID: c1, nat: {blocksPerPod: {maximum: 17}}}', undefined, 'maximum is more than 16'],
    ['{clusterID: c1, nodePortAddresses: [secondary]}', undefined, 'or primary'],
    ['{clusterID: c1, natPorts: 1-2}', undefined, 'unknown field "spec.natPorts"'],
    ['{clusterID: c1, timeouts: {udpTwoWay: 0}}', undefined, 'should be greater than or equal to 1'],
  ])('a bad ClusterNetwork: %s', async (spec, name, reason) => {
    await expect(network(spec, name)).rejects.toThrow(reason);
  });

  test.each([
    ['{addresses: [192.0.2.7, 192.0.2.16/28], nodeSelector: {matchLabels: {egress: "yes"}}}', undefined],
    [
      '{addresses: [web.example], nodeSelector: {matchLabels: {egress: "yes"}}}',
      'expected an address such as 192.0.2.7',
    ],
    ['{addresses: [], nodeSelector: {matchLabels: {egress: "yes"}}}', 'should have at least 1 items'],
    ['{addresses: [192.0.2.7]}', 'spec.nodeSelector: Required value'],
    ['{addresses: [192.0.2.7], nodeSelector: {matchLabels: {}}, nodeAddress: Maybe}', 'Unsupported value: "Maybe"'],
  ])('an EgressPool: %s', async (spec, reason) => {
    if (reason === undefined) expect(await pool(spec)).toMatchObject({ kind: 'EgressPool' });
    else await expect(pool(spec)).rejects.toThrow(reason);
  });

  test.each([
    ['{cidrs: [10.244.8.0/22, 10.244.200.0/24, "fd00:10:244:f000::/56"]}', undefined],
    ['{cidrs: [10.244.8.0/22], blockSize: {ipv4: 24}, nodeSelector: {matchLabels: {zone: a}}}', undefined],
    ['{cidrs: []}', 'should have at least 1 items'],
    ['{cidrs: [10.244.8.1]}', 'expected a CIDR'],
    ['{cidrs: [10.244.8.0/22, 10.244.200.0/27]}', 'a CIDR has no room for a block'],
    ['{cidrs: ["fd00:10:244:f000::/80"], blockSize: {ipv4: 24}}', 'a CIDR has no room for a block'],
    ['{cidrs: [10.244.8.0/22], blockSize: {ipv4: 32}}', 'should be less than or equal to 30'],
  ])('a PodPool: %s', async (spec, reason) => {
    const made = podPool(spec);
    if (reason === undefined) expect(await made).toMatchObject({ kind: 'PodPool' });
    else await expect(made).rejects.toThrow(reason);
  });

  test('kubectl get has columns of use', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const table = (await client.json({ path: NETWORKS, accept })) as { columnDefinitions: { name: string }[] };
    expect(table.columnDefinitions.map(({ name }) => name)).toEqual([
      'Name',
      'Cluster',
      'IPv4',
      'IPv6',
      'Pod CIDRs',
      'Accepted',
      'Reason',
      'Age',
    ]);
  });
});
