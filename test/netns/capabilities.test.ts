// The profile of deploy/kustomize/components/capabilities: an agent with those capabilities does all its work, and needs each.
// What else a container takes away (a /proc/sys that is read-only, system calls) is tried by test/cluster/cluster.test.ts.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { until } from '../../src/testbed/command.js';
import { ROOT } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';
import { serviceObject, sliceObjects } from '../support/service-manifests.js';
import { SocketProgram } from '../support/socket-program.js';

interface Patch {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly [{ securityContext: { capabilities: { add: readonly string[] } } }];
      };
    };
  };
}

const PATCH = parse(readFileSync(`${ROOT}/deploy/kustomize/components/capabilities/daemonset.yaml`, 'utf8')) as Patch;
/** Without the prefix CAP_. */
const PROFILE = PATCH.spec.template.spec.containers[0].securityContext.capabilities.add;
const FAMILIES = ['ipv4', 'ipv6'] as const;
const WEB = { ipv4: '10.96.0.10', ipv6: 'fd00:96::10' };
const HOST_PORT = 8088;
const REFUSED = /EPERM|EACCES|not permitted|denied/i;

/** As a container that runs as root and drops the others. */
function limitedTo(capabilities: readonly string[]): string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
  return ['setpriv', '--bounding-set', set, '--inh-caps=-all', '--no-new-privs'];
}

let node: AgentNode;

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

describe('without one of them', () => {
  const without = (...names: string[]): readonly string[] => limitedTo(PROFILE.filter((name) => !names.includes(name)));

  test.each(['SYS_ADMIN', 'NET_ADMIN'])('%s: no pod can be added, and nothing of it is left', async (name) => {
    node.prefix = without(name);
    await node.startAgent();
    const pod = name.toLowerCase().slice(0, 3);
    await node.addNamespace(pod);
    const { status, json } = await node.cni('ADD', pod);
    expect(status).toBe(1);
    expect(`${json.msg} ${json.details}`).toMatch(REFUSED);
    expect(node.records()).toEqual([]);
    expect(await node.podDevices()).toEqual([]);
    await node.endAgent('SIGTERM');
  });

  // SYS_ADMIN has the rights of BPF and PERFMON in it: what they are for shows without it.
  test.each(['BPF', 'PERFMON'])(
    '%s, nor SYS_ADMIN: programs are refused, nothing is attached, and that is said',
    async (name) => {
      node.prefix = without(name, 'SYS_ADMIN');
      node.spawnAgent();
      const refused = (): boolean =>
        node.log().some(({ err }) => REFUSED.test((err as { message?: string } | undefined)?.message ?? ''));
      expect(await until(refused, 30_000), node.tail()).toBe(true);
      expect(await node.podDevices()).toEqual([]);
      await node.endAgent('SIGKILL');
    },
  );
});

describe('with all of them', () => {
  let web: { ipv4: string; ipv6: string };
  let other: { ipv4: string; ipv6: string };

  beforeAll(async () => {
    node.prefix = limitedTo(PROFILE);
    await node.startAgent();
    web = await node.addPod('web');
    other = await node.addPod('other');
    for (const pod of ['web', 'other']) await node.startServer(pod);
  });

  test('the process has these and no others', () => {
    const status = readFileSync(`/proc/${node.pid}/status`, 'utf8');
    const bits = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1]}`);
    expect(bits.toString(2).replaceAll('0', '')).toHaveLength(PROFILE.length);
  });

  test('nothing is amiss: programs at devices and sockets, settings, ports', async () => {
    const { state } = await node.waitFor(() => true);
    expect(state).toMatchObject({ problems: [], sockets: { mode: 'sockets' } });
    expect(node.log().filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });

  test('pods are added with host ports and bandwidth, checked, translated, and deleted', async () => {
    await node.addNamespace('a');
    const runtimeConfig = {
      portMappings: [{ hostPort: HOST_PORT, containerPort: PORT, protocol: 'tcp', hostIP: '' }],
      bandwidth: {
        ingressRate: 100_000_000,
        ingressBurst: 10_000_000,
        egressRate: 100_000_000,
        egressBurst: 10_000_000,
      },
    };
    const wishes = { config: { runtimeConfig } };
    expect(await node.cni('ADD', 'a', wishes)).toMatchObject({ status: 0 });
    expect(await node.cni('CHECK', 'a', wishes)).toMatchObject({ status: 0 });
    await node.startServer('a');
    for (const family of FAMILIES) {
      const report = await node.probe('a', 'tcp', OUTSIDE[family], String(PORT), 'who');
      expect(sawOf(report).address).toBe(NODE[family]);
      expect(await node.probe('outside', 'tcp', NODE[family], String(HOST_PORT), 'who')).toMatchObject({ ok: true });
    }
    await node.deletePod('a');
    expect(node.records()).toHaveLength(2);
  });

  test('Services are reached, and sockets to a backend that is gone are ended', async () => {
    const ports = { name: 'web', clusterIPs: Object.values(WEB), port: 80, targetPort: PORT };
    node.write('service.yaml', serviceObject(ports));
    const serve = (...addresses: string[]): void =>
      node.write(
        'slices.yaml',
        ...sliceObjects(
          'web',
          PORT,
          addresses.map((address) => ({ address })),
        ),
      );
    serve(web.ipv4, web.ipv6);
    for (const family of FAMILIES) {
      const reached = async (): Promise<boolean> =>
        (await node.probe('node', 'tcp', WEB[family], '80', 'who', '--timeout', '1000')).ok;
      expect(await until(reached, 5000), family).toBe(true);
    }
    await using program = new SocketProgram(node, 'node');
    const id = program.id();
    await program.ask({ do: 'open', id, type: 'udp4' });
    await program.ask({ do: 'connectDatagram', id, address: WEB.ipv4, port: 80 });
    expect(await program.exchange(id)).not.toHaveProperty('error');
    serve(other.ipv4, other.ipv6);
    const ended = (): boolean => node.log().some(({ msg }) => msg === 'UDP sockets of removed backends ended');
    expect(await until(ended, 5000), node.tail()).toBe(true);
  });

  test('the next agent takes over what runs, and connections go on', async () => {
    const held = node.startProbe('web', 'tcp', OUTSIDE.ipv4, String(PORT), 'hold', '--rate', '50', '--seconds', '60');
    await node.endAgent('SIGKILL');
    await node.startAgent();
    expect(await node.cni('CHECK', 'web')).toMatchObject({ status: 0 });
    const report = await held.stop();
    expect(report).toMatchObject({ ok: true, errors: 0 });
  });
});
