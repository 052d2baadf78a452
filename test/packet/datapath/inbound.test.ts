// Flows that a remote begins, by a mapped port: what keeps them alive (RFC 4787 REQ-6).
import { expect, it } from 'vitest';
import { runWalk } from '../../../src/datapath/walk.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import { ageFlows } from '../../support/flow-state.js';
import { describeDatapath } from '../../support/packet-case.js';
import { from, PORTS, V4 } from '../../support/world.js';

const CLIENT = 40_000;
const PORT = PORTS.a + 64;
const { udpOneWay, udpTwoWay } = DEFAULT_TIMEOUTS;

const setups = { 'endpoint-independent': { config: { udp_endpoint_independent: 1, filtering: 2 } } };

describeDatapath({ name: 'inbound', file: import.meta.filename, setups }, (get) => {
  const stranger = { source: 7777, destination: PORT };
  const inbound = () =>
    get().run('uplink', from('uplink').ip({ source: V4.remote2, destination: V4.node }).udp(stranger));
  const outbound = (destination: string, port: number) =>
    get().run('a', from('a').ip({ source: V4.a, destination }).udp({ source: CLIENT, destination: port }));

  const age = (seconds: number) => ageFlows(get().maps.flows, seconds);
  const ofStranger = () =>
    get()
      .flows()
      .filter((line) => line.includes(V4.remote2));

  it('a pod that never answers keeps nothing alive by being sent to', async () => {
    outbound(V4.remote, 5353);
    expect(inbound().verdict).toBe('redirect');
    expect(ofStranger().every((line) => / inbound$/.test(line))).toBe(true);
    age(udpOneWay - 5);
    expect(inbound().verdict).toBe('redirect');
    age(6);
    await runWalk(get().program('sweep_flows'));
    expect(ofStranger()).toEqual([]);
  });

  it('a pod that answers has a flow in two directions', async () => {
    outbound(V4.remote, 5353);
    inbound();
    outbound(V4.remote2, 7777);
    expect(ofStranger().every((line) => / seen_reply inbound$/.test(line))).toBe(true);
    age(udpTwoWay - 5);
    inbound();
    age(udpTwoWay - 5);
    await runWalk(get().program('sweep_flows'));
    expect(ofStranger()).toHaveLength(2);
  });
});
