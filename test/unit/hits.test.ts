// Which counts of backends are removed: those that no service has, found by what changed or in the whole map.
import { expect, test } from 'vitest';
import { Hits } from '../../src/datapath/hits.js';
import { type CompiledServices, compileServices, listIds } from '../../src/datapath/services.js';
import type { HitCounter, HitKey } from '../../src/datapath/types.gen.js';
import type { EndpointSlice, Service } from '../../src/model/service.js';
import { FakeMap } from '../support/fake-map.js';
import { aNetwork, aNode, aService, aSlice, aSnapshot, backends } from '../support/objects.js';

const PORTS = [{ name: 'tcp', protocol: 'TCP' as const, port: 80 }];
const [web, api] = ['web', 'api'].map((name, index) =>
  aService(name, { clusterIPs: [`10.96.0.${index + 1}`], ports: PORTS }),
) as [Service, Service];
const slice = (name: string, ...texts: string[]) => aSlice(`${name}-1`, name, { 'tcp/TCP': backends(...texts) });

function compile(services: readonly Service[], slices: readonly EndpointSlice[], previous?: CompiledServices) {
  const node = aNode(1);
  const snapshot = aSnapshot({ network: aNetwork(), nodes: [node], services, slices });
  const have = { services: new Map(), backends: new Map() };
  return compileServices({ snapshot, node, serviceIds: previous ? listIds(previous) : new Map(), have, previous });
}

function openMap(...keys: readonly HitKey[]) {
  let walks = 0;
  const map = new (class extends FakeMap<HitKey, readonly HitCounter[]> {
    override entries() {
      walks++;
      return super.entries();
    }
  })();
  for (const key of keys) map.set(key, [{ connections: 1n }]);
  const addresses = () => Array.from(map.scan(), ([{ service_id, address }]) => `${service_id} ${address}`).sort();
  return { map, addresses, walks: () => walks };
}

const key = (service_id: number, last: number): HitKey => ({ service_id, address: `10.244.1.${last}`, port: 8080 });
const idOf = (services: CompiledServices, name: string) =>
  [...listIds(services)].find(([unit]) => unit.includes(`/${name}:`))?.[1] ?? 0;

test('at first the whole map is looked at, and all that no service has goes', async () => {
  const services = compile([web], [slice('web', '10.244.1.2:8080', '10.244.1.3:8080')]);
  const id = idOf(services, 'web');
  const { map, addresses } = openMap(key(id, 2), key(id, 9), key(id + 7, 2), { ...key(id, 3), port: 81 });
  await new Hits().retain(map, services);
  expect(addresses()).toEqual([`${id} 10.244.1.2`]);
});

test('then only what changed: backends that left, and services that are gone', async () => {
  const slices = [slice('web', '10.244.1.2:8080', '10.244.1.3:8080'), slice('api', '10.244.1.2:8080')];
  const first = compile([web, api], slices);
  const [webId, apiId] = [idOf(first, 'web'), idOf(first, 'api')];
  const { map, addresses, walks } = openMap(key(webId, 2), key(webId, 3), key(apiId, 2));
  const hits = new Hits();
  await hits.retain(map, first);
  const second = compile([web, api], [slice('web', '10.244.1.3:8080'), slices[1] as EndpointSlice], first);
  await hits.retain(map, second);
  expect(addresses()).toEqual([key(webId, 3), key(apiId, 2)].map((one) => `${one.service_id} ${one.address}`).sort());
  const third = compile([web], [slice('web', '10.244.1.3:8080')], second);
  await hits.retain(map, third);
  expect(addresses()).toEqual([`${webId} 10.244.1.3`]);
  expect(walks()).toBe(1);
});

test('a backend that is not ready, or not chosen, keeps its count', async () => {
  const first = compile([web], [slice('web', '10.244.1.2:8080', '10.244.1.3:8080')]);
  const id = idOf(first, 'web');
  const { map, addresses } = openMap(key(id, 2));
  const hits = new Hits();
  await hits.retain(map, first);
  const [one, other] = backends('10.244.1.2:8080', '10.244.1.3:8080');
  if (one === undefined || other === undefined) throw new Error('no backends');
  const draining = aSlice('web-1', 'web', { 'tcp/TCP': [{ ...one, ready: false, terminating: true }, other] });
  await hits.retain(map, compile([web], [draining], first));
  expect(addresses()).toEqual([`${id} 10.244.1.2`]);
});

test('after a failure, or a compile that was not looked at, the whole map is', async () => {
  const first = compile([web], [slice('web', '10.244.1.2:8080')]);
  const id = idOf(first, 'web');
  const { map, addresses, walks } = openMap(key(id, 2));
  const hits = new Hits();
  await hits.retain(map, first);
  const second = compile([web], [slice('web', '10.244.1.3:8080')], first);
  const broken = {
    entries: () => map.entries(),
    deleteMany: () => {
      throw new Error('refused');
    },
  };
  await expect(hits.retain(broken, second)).rejects.toThrow('refused');
  await hits.retain(map, compile([web], [slice('web', '10.244.1.4:8080')], second));
  expect([walks(), addresses()]).toEqual([2, []]);
});
