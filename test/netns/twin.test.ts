// The same live traffic through this datapath and through the kernel's own netfilter masquerade: what differs is in one table.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgentNode } from '../support/agent-node.js';
import { MasqueradeNode } from '../support/masquerade-node.js';
import { type Family, named, type Outcome, openTwin, type Twin } from '../support/twin.js';

const SCENARIOS = [
  ...['too big', 'request', 'upload', 'download', 'refused', 'cut off', 'again', 'echo', 'large', 'unsummed'],
  ...['udp refused', 'expired at the node', 'expired at the router', 'tcp expired', 'unreachable'],
  ...['mapping', 'filtering', 'gone', 'ping', 'ping large', 'ping expired'],
];

interface Difference {
  /** As in docs/testing.md. */
  readonly why: string;
  /** Lines of differencesOf(), by family. */
  readonly lines: Readonly<Record<Family, readonly string[]>>;
}

/** All that may differ, and must. */
const DIFFERENCES: readonly Difference[] = [
  {
    why: 'a flow leaves by a port of its block, so that the port tells whose it is',
    lines: both('request: port kept: ours false, theirs true', 'mapping: port kept: ours false, theirs true'),
  },
  {
    why: 'the default filtering goes by address: whoever a socket has sent to may answer from any port',
    lines: {
      ipv4: [
        'filtering: from another port: ours "from another port", theirs "silence"',
        `filtering: only theirs: ${refusal('icmp 3/3', 'server', [73, 45])}`,
      ],
      ipv6: [
        'filtering: from another port: ours "from another port", theirs "silence"',
        `filtering: only theirs: ${refusal('icmp 1/4', 'server', [73, 25])}`,
      ],
    },
  },
  {
    why: 'what is filtered is dropped in silence: an answer would tell that the port is in use',
    lines: {
      ipv4: [`filtering: only theirs: ${refusal('icmp 3/3', 'other', [76, 48])}`],
      ipv6: [`filtering: only theirs: ${refusal('icmp 1/4', 'other', [76, 28])}`],
    },
  },
  {
    why: 'the node speaks by its own address: the gateway that pods see is no address of the network',
    lines: both('expired at the node: said.by: ours "node", theirs "gateway"'),
  },
];

function both(...lines: string[]): Difference['lines'] {
  return { ipv4: lines, ipv6: lines };
}

/** The host has no socket for what is not translated, and says so: the error, about whom, and the lengths of both. */
function refusal(icmp: string, from: string, [length, about]: readonly [number, number]): string {
  const header = icmp === 'icmp 3/3' ? 'ok' : 'absent';
  const quoted = `${from} > node ttl 63 protocol 17 length ${about} 7002 > client header ${header} ok`;
  return `node > ${from} ttl 64  length ${length} ${icmp} 0 about [${quoted}]`;
}

let ours: AgentNode;
let theirs: MasqueradeNode;
let twins: { readonly ours: Twin; readonly theirs: Twin };

beforeAll(async () => {
  [ours, theirs] = await Promise.all([AgentNode.open(), MasqueradeNode.open()]);
  ours.writeManifests();
  // A pod that sends without TSO has its packets joined otherwise, and it is packets that are compared.
  await ours.startAgent({ gro: 'never' });
  await theirs.addPod('a', await ours.addPod('a'));
  twins = { ours: await openTwin(ours), theirs: await openTwin(theirs) };
}, 120_000);

afterAll(async () => {
  for (const one of [ours, theirs]) await one?.[Symbol.asyncDispose]();
});

test.each<Family>(['ipv4', 'ipv6'])(
  '%s: both do the same, but for what is listed',
  { timeout: 180_000 },
  async (family) => {
    const found: string[] = [];
    let packets = 0;
    for (const scenario of SCENARIOS) {
      const [our, their] = await Promise.all([twins.ours.ask(scenario, family), twins.theirs.ask(scenario, family)]);
      expect({ scenario, ours: our.wrong, theirs: their.wrong }).toEqual({ scenario, ours: [], theirs: [] });
      packets += (our.wire as string[]).length;
      found.push(...differencesOf(our, their).map((line) => named(`${scenario}: ${line}`, family)));
    }
    expect(packets).toBeGreaterThan(60);
    expect(found.sort()).toEqual(DIFFERENCES.flatMap(({ lines }) => lines[family]).sort());
  },
);

/** A line for each field that differs, and for each packet that only one of them sent. */
function differencesOf(our: Outcome, their: Outcome): string[] {
  const [one, other] = [new Map(fieldsOf(our)), new Map(fieldsOf(their))];
  const fields = [...new Set([...one.keys(), ...other.keys()])]
    .filter((name) => one.get(name) !== other.get(name))
    .map((name) => `${name}: ours ${one.get(name)}, theirs ${other.get(name)}`);
  return [...fields, ...onlyIn('ours', our.wire, their.wire), ...onlyIn('theirs', their.wire, our.wire)];
}

/** Fields and those inside them, by path; without the packets. */
function fieldsOf(outcome: Outcome, prefix = ''): [string, string][] {
  return Object.entries(outcome).flatMap(([name, value]): [string, string][] => {
    if (name === 'wire') return [];
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return fieldsOf(value as Outcome, `${prefix}${name}.`);
    return [[`${prefix}${name}`, JSON.stringify(value)]];
  });
}

function onlyIn(whose: string, some: unknown, others: unknown): string[] {
  const rest = [...(others as string[])];
  return (some as string[]).flatMap((line) => {
    const at = rest.indexOf(line);
    if (at < 0) return [`only ${whose}: ${line}`];
    rest.splice(at, 1);
    return [];
  });
}
