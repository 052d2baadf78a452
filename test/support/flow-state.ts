// What the flows table says of a connection, and how a test changes it: time passes without waiting.
import { expect } from 'vitest';
import type { Flow, FlowKey } from '../../src/datapath/types.gen.js';
import { FLOW_FLAGS } from '../../src/datapath/types.gen.js';
import type { TestDatapath } from './datapath.js';

type Flows = TestDatapath['maps']['flows'];

const { FLOW_SEEN_REPLY, FLOW_FIN_ORIGINAL, FLOW_FIN_REPLY, FLOW_RESET, FLOW_RESET_VALID } = FLOW_FLAGS;
/** Flags that say what became of a connection. */
export const CONNECTION_STATE = FLOW_SEEN_REPLY | FLOW_FIN_ORIGINAL | FLOW_FIN_REPLY | FLOW_RESET | FLOW_RESET_VALID;

/** The state in both entries of a connection, which must agree, as names of flags. */
export function connectionState(flows: Flows, ...keys: readonly [FlowKey, FlowKey]): string {
  const [original = 0, reply] = keys.map((key) => (flows.get(key)?.flags ?? 0) & CONNECTION_STATE);
  expect(original).toBe(reply);
  const names = Object.entries(FLOW_FLAGS).filter(([, bit]) => bit & original);
  return names.map(([name]) => name.replace('FLOW_', '').toLowerCase()).join(' ');
}

export function changeFlows(flows: Flows, fields: (flow: Flow, key: FlowKey) => Partial<Flow>): void {
  for (const [key, flow] of [...flows.scan()]) flows.set(key, { ...flow, ...fields(flow, key) });
}

/** As if nothing had come for so many seconds, in all entries or in those of one source. */
export function ageFlows(flows: Flows, seconds: number, source?: string): void {
  changeFlows(flows, ({ seen }, key) =>
    source === undefined || key.source === source ? { seen: (seen - seconds) >>> 0 } : {},
  );
}
