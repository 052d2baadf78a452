// kube-proxy's rules as the benchmark writes them: the chains, their names and what a change rewrites.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findKubeProxy, whyNotMeasured } from '../../src/bench/service/kube-proxy/binary.js';
import {
  iptablesBase,
  iptablesChange,
  iptablesRules,
  iptablesTables,
} from '../../src/bench/service/kube-proxy/iptables.js';
import { endpointChain, hash, nftName, serviceChain } from '../../src/bench/service/kube-proxy/names.js';
import { nftablesChange, nftablesRules } from '../../src/bench/service/kube-proxy/nftables.js';
import { listServices, ownService, type ServedService } from '../../src/bench/service/services.js';

const clusterCIDR = '10.244.0.0/16';
const web = ownService(0, {
  name: 'web',
  nodePort: 30_080,
  backends: [
    { address: '10.244.1.10', port: 8080 },
    { address: '10.244.1.11', port: 8080 },
    { address: '10.244.1.12', port: 8080 },
  ],
});

test('chains have the names that kube-proxy gives them', () => {
  // As in kube-proxy's own tests: ns1/svc1:p80 with the endpoint 10.180.0.1:80, in both modes.
  expect(hash('ns1/svc1:p80tcp', 16)).toBe('XPGD46QRK7WJZT7O');
  expect(hash('ns1/svc1:p80tcp10.180.0.1:80', 16)).toBe('SXIVWICOYRO3J4NJ');
  expect(hash('ns1/svc1/tcp/p80', 8)).toBe('ULMVA6XW');
  expect(hash('ns1/svc1/tcp/p80__10.180.0.1/80', 8)).toBe('5OJB2KTY');
});

test('a list has so many Services, all of them different, and the own one in the middle', () => {
  const services = listServices({ count: 1000, backends: 3, inTheMiddle: [web] });
  expect(services).toHaveLength(1000);
  expect(new Set(services.map(({ clusterIP }) => clusterIP)).size).toBe(1000);
  const addresses = services.flatMap(({ backends }) => backends.map(({ address }) => address));
  expect(new Set(addresses).size).toBe(3000);
  expect(services.indexOf(web)).toBe(499);
});

const rulesOf = (chain: string, text: string): string[] =>
  text.split('\n').filter((line) => line.startsWith(`-A ${chain} `));

test('iptables: portal, service, endpoints, node port and masquerade of one Service', () => {
  const text = iptablesRules({ services: [web], clusterCIDR });
  const [service, external] = [serviceChain(web), serviceChain(web, 'EXT')];
  expect(rulesOf('KUBE-SERVICES', text)).toEqual([
    expect.stringContaining(`"bench/web:http cluster IP" -m tcp -p tcp -d ${web.clusterIP} --dport 80 -j ${service}`),
    expect.stringContaining('-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'),
  ]);
  expect(rulesOf(service, text).map((rule) => rule.replace(/.*(! -s|--probability|-> \S+") /, '$1 '))).toEqual([
    '! -s 10.244.0.0/16 -j KUBE-MARK-MASQ',
    `--probability 0.3333333333 -j ${endpointChain(web, web.backends[0] as never)}`,
    `--probability 0.5000000000 -j ${endpointChain(web, web.backends[1] as never)}`,
    expect.stringContaining(`-j ${endpointChain(web, web.backends[2] as never)}`),
  ]);
  expect(rulesOf('KUBE-NODEPORTS', text)).toEqual([expect.stringContaining(`--dport 30080 -j ${external}`)]);
  expect(rulesOf(external, text)).toEqual([
    expect.stringContaining('external destinations" -j KUBE-MARK-MASQ'),
    `-A ${external} -j ${service}`,
  ]);
  expect(text).toContain('-j MASQUERADE --random-fully');
});

test('iptables: every chain that is jumped to is declared, each once', () => {
  const services = listServices({ count: 20, backends: 3 });
  const text = iptablesTables({ services, clusterCIDR });
  const apart = (iptablesBase() + iptablesRules({ services, clusterCIDR })).split('\n');
  expect(new Set(text.split('\n'))).toEqual(new Set(apart));
  const targets = new Set(Array.from(text.matchAll(/-j (KUBE-\S+)/g), ([, chain]) => chain));
  const declared = Array.from(text.matchAll(/^:(\S+) /gm), ([, chain]) => chain);
  expect([...targets].filter((chain) => !declared.includes(chain))).toEqual([]);
  const endpoints = declared.filter((chain) => chain?.startsWith('KUBE-SEP-'));
  expect([endpoints.length, new Set(endpoints).size]).toEqual([60, 60]);
});

test('iptables: a large cluster has no comments at single rules; a change rewrites one Service and all portals', () => {
  const services = listServices({ count: 400, backends: 3, inTheMiddle: [web] });
  const full = iptablesRules({ services, clusterCIDR });
  expect(full).not.toContain('bench/web:http');
  const change = iptablesChange({ services, clusterCIDR }, web);
  expect(rulesOf('KUBE-SERVICES', change)).toEqual(rulesOf('KUBE-SERVICES', full));
  expect(change.match(/^:KUBE-S(VC|EP)-/gm)).toHaveLength(4);
});

test('nftables: verdict maps lead to the chain of a Service, which chooses among its endpoints', () => {
  const lines = nftablesRules({ services: [web], clusterCIDR, nodeAddress: '198.18.1.1' }).split('\n');
  const name = nftName(web);
  expect(name).toMatch(/^[A-Z2-7]{8}-bench\/web\/tcp\/http$/);
  const endpoints = web.backends.map((backend) => `endpoint-${nftName(web, backend)}`);
  expect(lines).toContain(
    `add element ip kube-proxy service-ips { ${web.clusterIP} . tcp . 80 : goto service-${name} }`,
  );
  expect(lines).toContain(`add element ip kube-proxy service-nodeports { tcp . 30080 : goto external-${name} }`);
  expect(lines).toContain(
    `add rule ip kube-proxy service-${name} numgen random mod 3 vmap { ` +
      `0 : goto ${endpoints[0]} , 1 : goto ${endpoints[1]} , 2 : goto ${endpoints[2]} }`,
  );
  expect(lines).toContain(`add rule ip kube-proxy ${endpoints[0]} meta l4proto tcp dnat to 10.244.1.10:8080`);
  expect(lines.filter((line) => line.includes('services ip daddr'))).toHaveLength(2);
});

test('nftables: a change touches one Service, and removes the chains of endpoints that are gone', () => {
  const after: ServedService = { ...web, backends: web.backends.slice(1) };
  const change = nftablesChange({ clusterCIDR }, { before: web, after }).split('\n');
  const gone = `endpoint-${nftName(web, web.backends[0])}`;
  expect(change).toContain(`delete chain ip kube-proxy ${gone}`);
  expect(change.filter((line) => line.startsWith('add element'))).toEqual([]);
  // Nothing may jump there when the chain goes.
  expect(change.findIndex((line) => line.includes('numgen random mod 2'))).toBeLessThan(
    change.indexOf(`delete chain ip kube-proxy ${gone}`),
  );
});

test('the real kube-proxy is found in KUBEBUILDER_ASSETS, or reported as not found', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-kube-proxy-'));
  try {
    expect(whyNotMeasured(await findKubeProxy({ PATH: directory }))).toContain('not found');
    const path = join(directory, 'kube-proxy');
    writeFileSync(path, '#!/bin/sh\necho Kubernetes v9.9.9\n');
    chmodSync(path, 0o755);
    const found = await findKubeProxy({ PATH: '/nowhere', KUBEBUILDER_ASSETS: directory });
    expect(found).toEqual({ path, version: 'Kubernetes v9.9.9' });
    expect(whyNotMeasured(found)).toContain('is not run');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
