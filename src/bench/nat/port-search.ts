// Inside a node's namespace: how many ports are looked at for a new flow when so many of a block are in use.
import type { NativeProgram } from '../../bpf/native.js';
import type { Flow, FlowKey, NatCounter } from '../../datapath/types.gen.js';
import { buildFrame } from '../frame.js';
import type { Datapath } from '../loaded.js';
import { contextOf } from '../loaded.js';
import type { Arrival } from '../program-cost.js';

export interface ProbesQuestion {
  /** Of a pod; its ports are chosen here. */
  readonly arrival: Arrival;
  /** Ports of the pod's block. */
  readonly block: number;
  /** Shares of the block that are in use while a port is looked for. */
  readonly fills: readonly number[];
  /** New flows for each. */
  readonly trials: number;
}

export interface ProbesAnswer {
  readonly fill: number;
  /** Ports in use. */
  readonly live: number;
  readonly trials: number;
  readonly refused: number;
  /** New flows by ports looked at: 1, 2, 3-4, 5-8, ... */
  readonly buckets: readonly number[];
}

const TC_REDIRECT = 7;
/** Linux' default range for the ports of clients. */
const CLIENT_PORTS = { first: 32_768, count: 28_232 };

/** Flows come and go one at a time, from random ports of the pod, all towards one remote. */
export function searchPorts(datapath: Datapath, question: ProbesQuestion): ProbesAnswer[] {
  return question.fills.map((fill) => {
    using search = new Search(datapath, question.arrival);
    return search.run(fill, Math.floor(question.block * fill), question.trials);
  });
}

class Search implements Disposable {
  readonly #datapath: Datapath;
  readonly #arrival: Arrival;
  readonly #program: NativeProgram;
  readonly #live: { readonly port: number; readonly keys: readonly FlowKey[] }[] = [];

  constructor(datapath: Datapath, arrival: Arrival) {
    this.#datapath = datapath;
    this.#arrival = arrival;
    this.#program = datapath.program('from_container');
  }

  run(fill: number, live: number, trials: number): ProbesAnswer {
    while (this.#live.length < live)
      if (!this.#open()) throw new Error(`no port for flow ${this.#live.length} of ${live}`);
    const before = this.#histogram();
    let refused = 0;
    for (let trial = 0; trial < trials; trial++) {
      if (!this.#open()) refused++;
      else this.#end(Math.floor(Math.random() * this.#live.length));
    }
    const buckets = this.#histogram().map((count, index) => count - (before[index] ?? 0));
    return { fill, live, trials, refused, buckets };
  }

  [Symbol.dispose](): void {
    while (this.#live.length > 0) this.#end(0);
    this.#program.close();
  }

  /** false when it was refused. */
  #open(): boolean {
    const port = this.#freePort();
    const packet = { ...this.#arrival.packet, source: { ...this.#arrival.packet.source, port } };
    const data = buildFrame({ ...packet, kind: 'syn' });
    const context = contextOf(this.#arrival.ifindex);
    if (this.#program.testRun({ data, context }).retval !== TC_REDIRECT) return false;
    this.#live.push({ port, keys: this.#keysOf(packet) });
    return true;
  }

  #freePort(): number {
    for (;;) {
      const port = CLIENT_PORTS.first + Math.floor(Math.random() * CLIENT_PORTS.count);
      if (this.#live.every((flow) => flow.port !== port)) return port;
    }
  }

  #keysOf({ source, destination }: Arrival['packet']): FlowKey[] {
    using flows = this.#datapath.map('flows');
    const key: FlowKey = {
      source: source.address,
      destination: destination.address,
      source_port: source.port,
      destination_port: destination.port,
      protocol: 6,
    };
    const flow = flows.get(key);
    if (flow === undefined) throw new Error(`the flow from port ${source.port} is not in the table`);
    return [key, replyKey(key, flow)];
  }

  #end(index: number): void {
    using flows = this.#datapath.map('flows');
    const [flow] = this.#live.splice(index, 1);
    flows.deleteMany(flow?.keys ?? []);
  }

  #histogram(): number[] {
    using counters = this.#datapath.map('nat_counters');
    const cpus = (counters.get(0) ?? []) as unknown as readonly NatCounter[];
    const [first] = cpus;
    return (first?.probes ?? []).map((_, index) => cpus.reduce((sum, cpu) => sum + Number(cpu.probes[index]), 0));
  }
}

function replyKey(key: FlowKey, flow: Flow): FlowKey {
  return {
    source: flow.destination,
    source_port: flow.destination_port,
    destination: flow.source,
    destination_port: flow.source_port,
    protocol: key.protocol,
  };
}
