// An uplink whose name has a dot, as devices of VLANs have by custom: bpffs takes no such names for pins.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OUT, openSmallNode, SERVICE_PORT, type SmallNode } from '../support/small-node.js';

const DEVICE = 'eth0.100';
let node: SmallNode;

beforeAll(async () => {
  node = await openSmallNode('a');
  node.namespaces.run('node', ['ip', 'link', 'set', 'eth0', 'name', DEVICE]);
});

afterAll(() => node?.[Symbol.asyncDispose]());

test('has its programs, without an agent too, and the next agent finds them', async () => {
  await node.startAgent('--device', DEVICE, '--xdp', 'native');
  node.addPod('a');
  await node.start('out', 'serve', '--port', String(SERVICE_PORT));
  const ask = () => node.probe('a', 'tcp', OUT.ipv4, String(SERVICE_PORT), 'who', '--timeout', '2000');
  const ofUplink = async () => (await node.status()).state.attachments.filter(({ target }) => target === DEVICE);
  const attached = await ofUplink();
  expect(attached.map(({ program }) => program)).toContain('from_netdev');
  expect(await ask()).toMatchObject({ ok: true });
  await node.killAgent();
  expect(await ask()).toMatchObject({ ok: true });
  await node.startAgent('--device', DEVICE, '--xdp', 'native');
  expect(await ofUplink()).toEqual(attached);
  expect(await ask()).toMatchObject({ ok: true });
});
