// The agent on a real cluster: kubelets and containerd on three nodes, no kube-proxy, no other network plugin.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProbeReport } from '../../src/lab/probe.js';
import type { Family } from '../../src/model/address.js';
import { FAMILIES, familyOf } from '../../src/model/address.js';
import { STARTUP_TAINT } from '../../src/model/node.js';
import { run, start, until } from '../../src/testbed/command.js';
import { ROOT } from '../../src/testbed/files.js';
import type { Cluster } from './cluster.js';
import { clusterUp } from './cluster.js';
import { routeToPods } from './fabric.js';
import { install, NAMESPACE, waitUntilReady, writeOverlay } from './installation.js';
import { Kubectl, type KubernetesObject } from './kubectl.js';
import { captureOn, runOn, startDaemon } from './machine.js';
import type { ClusterNode } from './plan.js';
import { API_SERVICE, DNS_DOMAIN, probeOf } from './plan.js';
import { Plugin } from './plugin.js';
import { findPrograms } from './programs.js';
import { type Pod, podAddress, probeFrom, probeFromPod, sawAddress } from './traffic.js';
import { describeVersions } from './versions.js';
import { dnsManifests, WEB, webManifests } from './workload.js';

interface NodeObject extends KubernetesObject {
  readonly spec: { readonly podCIDRs: readonly string[]; readonly taints?: readonly { readonly key: string }[] };
  readonly status: {
    readonly addresses: readonly { readonly type: string; readonly address: string }[];
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
  };
}

/** The first time, Debian is fetched for the agent's image. */
const UP_MS = 300_000;
/** A port of the range that translated connections have. */
const NAT_PORT = 41_000;
const SERVER_PORT = 8080;
const CHART = `${ROOT}/deploy/helm/isthmus`;

const programs = await findPrograms();
const reason = typeof programs === 'string' ? `: skipped: ${programs}` : '';

describe.skipIf(typeof programs === 'string')(`a cluster of three nodes${reason}`, () => {
  let cluster: Cluster;
  let kubectl: Kubectl;
  let web: readonly Pod[];
  let service: Readonly<Record<Family, string>>;

  const node = (index: number): ClusterNode => cluster.plan.nodes[index] as ClusterNode;
  const nodes = (): Promise<readonly NodeObject[]> => kubectl.list<NodeObject>('nodes');
  const webOn = (name: string, index = 0): Pod => web.filter(({ spec }) => spec.nodeName === name)[index] as Pod;
  const who = (address: string, port: number): string[] => ['tcp', address, String(port), 'who', '--timeout', '5000'];
  const fromPod = (pod: Pod, address: string, port: number): Promise<ProbeReport> =>
    probeFromPod(kubectl, pod.metadata.name, who(address, port));
  const condition = ({ status }: NodeObject, type: string): string | undefined =>
    status.conditions.find((one) => one.type === type)?.status;

  beforeAll(async () => {
    const started = performance.now();
    cluster = await clusterUp(typeof programs === 'string' ? '' : programs.directory, () => {});
    kubectl = new Kubectl(cluster.plane);
    const registered = async (): Promise<boolean> => (await nodes()).filter(({ spec }) => spec.podCIDRs).length === 3;
    if (!(await until(registered, 30_000))) throw new Error('the nodes did not register');
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`cluster: ${await describeVersions(cluster.plane, kubectl)}, up in ${seconds} s`);
    for (const machine of [...cluster.plan.nodes, cluster.plan.outside]) {
      startDaemon(machine, 'server', [probeOf(cluster.plan), 'serve', '--port', String(SERVER_PORT)]);
    }
  }, UP_MS);

  afterAll(() => cluster?.down(), 60_000);

  describe('installation', () => {
    test('D2 D3: nodes have addresses and pod CIDRs of both families, and wait for a network', async () => {
      for (const one of await nodes()) {
        const internal = one.status.addresses.filter(({ type }) => type === 'InternalIP');
        expect(internal.map(({ address }) => familyOf(address))).toEqual(FAMILIES);
        expect(one.spec.podCIDRs.map((cidr) => familyOf(cidr.split('/')[0] ?? ''))).toEqual(FAMILIES);
        expect(condition(one, 'Ready')).toBe('False');
        expect(one.spec.taints?.map(({ key }) => key)).toContain(STARTUP_TAINT);
      }
    });

    test('kubectl apply makes all nodes ready, and cuts no connection that a node has', async () => {
      const to = [cluster.plan.outside.addresses.ipv4, String(SERVER_PORT)];
      const hold = ['hold', '--seconds', '25', '--rate', '20', '--source-port', String(NAT_PORT)];
      const older = probeFrom(cluster.plan, node(0), ['tcp', ...to, ...hold]);
      await install(cluster, kubectl, 'island');
      await waitUntilReady(kubectl);
      const tainted = async (): Promise<boolean> =>
        (await nodes()).some(({ spec }) => spec.taints?.some(({ key }) => key === STARTUP_TAINT));
      expect(await until(async () => !(await tainted()), 10_000)).toBe(true);
      for (const one of await nodes()) expect(condition(one, 'NetworkUnavailable')).toBe('False');
      expect(await older).toMatchObject({ ok: true, errors: 0 });
    }, 150_000);

    test('the ClusterNetwork is accepted, and the other overlays and the chart would be', async () => {
      await kubectl.run('wait', '--for=condition=Accepted', 'clusternetwork/default', '--timeout=30s');
      expect(await kubectl.run('get', 'clusternetworks', '--no-headers')).toMatch(/^default +c1 +Island +Flat +True/);
      for (const overlay of ['flat', 'dual-stack', 'ipv6-only'] as const) {
        await kubectl.run('apply', '--dry-run=server', '-k', writeOverlay(cluster, overlay));
      }
      const chart = await run([`${cluster.plane.programs}/helm`, 'template', 'isthmus', CHART, '-n', NAMESPACE]);
      await run(kubectl.argv('apply', '--dry-run=server', '-f', '-'), { netns: kubectl.netns, input: chart });
    });

    test('D1: twenty pods over three nodes have an address of each family, in the order of the Service CIDRs', async () => {
      await kubectl.apply(webManifests());
      await kubectl.run('rollout', 'status', `deployment/${WEB.name}`, '--timeout=60s');
      web = await kubectl.list<Pod>('pods', '-l', `app=${WEB.name}`);
      expect(web).toHaveLength(WEB.replicas);
      expect(new Set(web.map(({ spec }) => spec.nodeName)).size).toBe(3);
      for (const { status } of web) expect(status.podIPs?.map(({ ip }) => familyOf(ip))).toEqual(FAMILIES);
      service = await kubectl.serviceAddresses(WEB.name);
      const cidrs = new Map((await nodes()).map(({ metadata, spec }) => [metadata.name, spec.podCIDRs[1] ?? '']));
      await routeToPods(cluster.plan, 'ipv6', cidrs);
    }, 90_000);
  });

  describe.each(FAMILIES)('paths of %s', (family) => {
    const own = (pod: Pod): string => podAddress(pod, family);

    test('pod to pod, on the same node and on another', async () => {
      const from = webOn('n1');
      for (const to of [webOn('n1', 1), webOn('n2')]) {
        const report = await fromPod(from, own(to), WEB.targetPort);
        expect(report).toMatchObject({ ok: true });
        expect(sawAddress(report)).toBe(own(from));
      }
    });

    test('pod to Service: the backend sees the pod', async () => {
      for (let index = 0; index < 5; index++) {
        const report = await fromPod(webOn('n2'), service[family], WEB.port);
        expect(report).toMatchObject({ ok: true });
        expect(sawAddress(report)).toBe(own(webOn('n2')));
      }
    });

    test('node to pod and node to Service, by TCP and UDP', async () => {
      for (const [address, port] of [
        [own(webOn('n3')), WEB.targetPort],
        [own(webOn('n1')), WEB.targetPort],
        [service[family], WEB.port],
      ] as const) {
        for (const protocol of ['tcp', 'udp']) {
          const argv = [protocol, address, String(port), 'who', '--timeout', '5000'];
          expect(await probeFrom(cluster.plan, node(0), argv), `${protocol} ${address}`).toMatchObject({ ok: true });
        }
      }
    });

    test('pod to its node and to another', async () => {
      for (const { addresses } of [node(0), node(1)]) {
        expect(await fromPod(webOn('n1'), addresses[family], SERVER_PORT)).toMatchObject({ ok: true });
      }
    });

    test('from outside to the NodePort of every node', async () => {
      for (const { addresses } of cluster.plan.nodes) {
        const argv = who(addresses[family], WEB.nodePort);
        expect(await probeFrom(cluster.plan, cluster.plan.outside, argv)).toMatchObject({ ok: true });
      }
    });

    test(`pod to outside: ${family === 'ipv4' ? 'with the address of its node' : 'D10: with its own address'}`, async () => {
      for (const one of cluster.plan.nodes) {
        const pod = webOn(one.name);
        const report = await fromPod(pod, cluster.plan.outside.addresses[family], SERVER_PORT);
        expect(report).toMatchObject({ ok: true });
        expect(sawAddress(report)).toBe(family === 'ipv4' ? one.addresses.ipv4 : own(pod));
      }
    });
  });

  describe('what runs through the API server', () => {
    test('pods reach the API server by its Service, and names by CoreDNS behind another', async () => {
      await kubectl.apply(dnsManifests());
      await kubectl.run('rollout', 'status', 'deployment/coredns', '-n', 'kube-system', '--timeout=60s');
      const connect = (target: string): Promise<string> =>
        kubectl.run('exec', webOn('n3').metadata.name, '--', '/agnhost', 'connect', target, '--timeout=5s');
      await connect(`${API_SERVICE}:443`);
      await connect(`${WEB.name}.default.svc.${DNS_DOMAIN}:${WEB.port}`);
      await connect(`${WEB.name}:${WEB.port}`);
      await expect(connect(`nobody.default.svc.${DNS_DOMAIN}:80`)).rejects.toThrow(/DNS/);
    }, 90_000);

    test('logs of an agent, and a port that is forwarded to a pod', async () => {
      expect(await kubectl.run('logs', '-n', NAMESPACE, 'daemonset/isthmus', '-c', 'agent')).toContain('"msg":"ready"');
      const forward = kubectl.argv('port-forward', webOn('n2').metadata.name, `18080:${WEB.targetPort}`);
      const pid = start(forward, { netns: kubectl.netns, log: `${cluster.plan.directory}/port-forward.log` });
      const answers = async (): Promise<boolean> =>
        (await probeFrom(cluster.plan, cluster.plan.controlPlane, who('127.0.0.1', 18080))).ok;
      expect(await until(answers, 10_000)).toBe(true);
      process.kill(pid);
    });
  });

  describe('kubectl isthmus, from a machine outside', () => {
    let plugin: Plugin;

    beforeAll(async () => {
      plugin = await Plugin.install(cluster, kubectl);
    });

    test('nat who names the pod behind an address and port, whatever its node', async () => {
      interface Answer {
        readonly node: string;
        readonly owner: { readonly kind: string; readonly namespace: string; readonly name: string };
      }
      for (const { name } of cluster.plan.nodes) {
        const pod = webOn(name, 2);
        const { saw = '' } = await fromPod(pod, cluster.plan.outside.addresses.ipv4, SERVER_PORT);
        const owner = { kind: 'Pod', namespace: 'default', name: pod.metadata.name };
        expect(await plugin.items<Answer>('nat', 'who', saw)).toMatchObject([{ node: name, owner }]);
        // Of the past, all nodes are asked, and one knows.
        const now = new Date().toISOString();
        expect(await plugin.items<Answer>('nat', 'who', saw, '--at', now)).toMatchObject([{ node: name, owner }]);
      }
      expect(await plugin.run('nat', 'who', '203.0.113.7:40123')).toMatchObject({ status: 5, stdout: '' });
    }, 60_000);

    test('commands about a node are asked of all, or of the one that is named', async () => {
      const all = await plugin.run('status');
      expect(all).toMatchObject({ status: 0, stderr: '' });
      expect(all.stdout.match(/^==> .* <==$/gm)).toEqual(['==> n1 <==', '==> n2 <==', '==> n3 <==']);
      const healthy = (node: string): object => ({ node, health: 'healthy' });
      expect(await plugin.items('status')).toMatchObject(['n1', 'n2', 'n3'].map(healthy));
      expect(await plugin.items('--node', 'n2', 'status')).toMatchObject([healthy('n2')]);
      const pods = await plugin.items<{ node: string }>('-n', 'n3', 'endpoint', 'list', '-n', 'default');
      expect(pods.length).toBeGreaterThan(0);
      expect(new Set(pods.map(({ node }) => node))).toEqual(new Set(['n3']));
    });

    test('it says which nodes there are, and what a user may not', async () => {
      const unknown = await plugin.run('--node', 'n9', 'status');
      expect(unknown).toMatchObject({ status: 5, stderr: expect.stringContaining('run on: n1 n2 n3') });
      const nobody = await plugin.run('--as', 'somebody', 'status');
      expect(nobody).toMatchObject({ status: 4, stderr: expect.stringContaining('Nothing was asked') });
      await kubectl.run('create', 'role', 'looks', '-n', NAMESPACE, '--verb=get,list', '--resource=pods');
      await kubectl.run('create', 'rolebinding', 'looks', '-n', NAMESPACE, '--role=looks', '--user=somebody');
      const looks = await plugin.run('--as', 'somebody', '--node', 'n1', 'status');
      expect(looks).toMatchObject({ status: 4, stderr: expect.stringContaining('create on pods/exec') });
      await kubectl.run('delete', 'role,rolebinding', 'looks', '-n', NAMESPACE);
    });
  });

  describe('cluster life', () => {
    test('agents go on with capabilities in place of privileges, and pods are added by them', async () => {
      await kubectl.run('apply', '-k', writeOverlay(cluster, 'island', 'capabilities'));
      await waitUntilReady(kubectl);
      const pods = ['pods', '-n', NAMESPACE, '-l', 'app.kubernetes.io/name=isthmus'];
      const limits = await kubectl.run('get', ...pods, '-o', 'jsonpath={.items[*].spec.containers[0].securityContext}');
      expect(limits.match(/"privileged":false/g)).toHaveLength(cluster.plan.nodes.length);
      const plugin = await Plugin.install(cluster, kubectl);
      const states = await plugin.items<{ health: string; problems: unknown }>('status');
      expect(
        states.map(({ health }) => health),
        JSON.stringify(states),
      ).toEqual(['healthy', 'healthy', 'healthy']);
      const said = await kubectl.run('logs', '-n', NAMESPACE, '-l', 'app.kubernetes.io/name=isthmus', '-c', 'agent');
      expect(said.split('\n').filter((line) => /"level":[456]0/.test(line))).toEqual([]);
      // Deleted and added anew, all of them.
      await kubectl.run('rollout', 'restart', `deployment/${WEB.name}`);
      await kubectl.run('rollout', 'status', `deployment/${WEB.name}`, '--timeout=90s');
      const replaced = async (): Promise<boolean> => {
        const before = new Set(web.map(({ metadata }) => metadata.name));
        const now = await kubectl.list<Pod>('pods', '-l', `app=${WEB.name}`);
        if (now.length !== WEB.replicas || now.some(({ metadata }) => before.has(metadata.name))) return false;
        web = now;
        return true;
      };
      expect(await until(replaced, 60_000)).toBe(true);
      // Written by the node's /proc/sys/net, for a container's own is read-only: a device has 1 by default.
      const settings = 'cat /proc/sys/net/ipv6/conf/ist[!-]*/accept_ra | sort -u';
      expect(await runOn(node(0), ['sh', '-c', settings])).toBe('0\n');
      for (const family of FAMILIES) {
        expect(await fromPod(webOn('n1'), service[family], WEB.port)).toMatchObject({ ok: true });
        const outside = await fromPod(webOn('n2'), cluster.plan.outside.addresses[family], SERVER_PORT);
        expect(outside).toMatchObject({ ok: true });
        const argv = who(node(2).addresses[family], WEB.nodePort);
        expect(await probeFrom(cluster.plan, cluster.plan.outside, argv)).toMatchObject({ ok: true });
      }
    }, 240_000);

    test('pods that are deleted leave nothing on their nodes', async () => {
      await kubectl.run('delete', 'deployment', WEB.name, '--wait=true');
      await kubectl.run('wait', '--for=delete', 'pod', '-l', `app=${WEB.name}`, '--timeout=60s');
      for (const one of cluster.plan.nodes) {
        const here = (await kubectl.list<Pod>('pods', '-A', `--field-selector=spec.nodeName=${one.name}`)).filter(
          ({ status }) => !cluster.plan.nodes.some(({ addresses }) => status.podIPs?.[0]?.ip === addresses.ipv4),
        );
        const devices = async (): Promise<number> =>
          (await runOn(one, ['ip', '-o', 'link', 'show', 'type', 'veth']))
            .split('\n')
            .filter((line) => /: ist[^-]/.test(line)).length;
        expect(await until(async () => (await devices()) === here.length, 10_000)).toBe(true);
      }
    }, 90_000);
  });

  describe('uninstallation', () => {
    const DAEMONSET = ['daemonset/isthmus', '-n', NAMESPACE];
    const left = async (one: ClusterNode): Promise<string> => {
      const places = ['/sys/fs/bpf/isthmus/links', '/etc/cni/net.d/05-isthmus.conflist', '/opt/cni/bin/isthmus-cni'];
      return (await captureOn(one, ['ls', '-d', ...places])).stdout;
    };

    test('the cleanup says first what it would remove, and changes nothing', async () => {
      await kubectl.run('apply', '-k', writeOverlay(cluster, 'island', 'cleanup'));
      await kubectl.run('rollout', 'status', ...DAEMONSET, '--timeout=90s');
      const said = await kubectl.run('logs', ...DAEMONSET, '-c', 'cleanup');
      expect(said).toMatch(/^link +from_netdev\S* +there$/m);
      for (const one of cluster.plan.nodes) expect((await left(one)).trim().split('\n')).toHaveLength(3);
    }, 120_000);

    test('and then removes it, on every node', async () => {
      await kubectl.run('set', 'env', ...DAEMONSET, '-c', 'cleanup', 'CLEANUP=--yes');
      await kubectl.run('rollout', 'status', ...DAEMONSET, '--timeout=90s');
      for (const one of cluster.plan.nodes) {
        expect(await left(one)).toBe('');
        expect(await runOn(one, ['ip', '-o', 'link', 'show', 'type', 'veth'])).not.toContain(': ist');
        expect(await runOn(one, ['ip', 'route', 'show'])).not.toContain('10.244.');
        const outside = cluster.plan.outside.addresses.ipv4;
        expect(await probeFrom(cluster.plan, one, who(outside, SERVER_PORT))).toMatchObject({ ok: true });
      }
      await kubectl.run('delete', '-k', writeOverlay(cluster, 'island', 'cleanup'), '--timeout=60s');
      await kubectl.run('delete', '-f', `${ROOT}/deploy/crds`, '--timeout=60s');
    }, 150_000);
  });
});
