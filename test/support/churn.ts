// Millions of flows from inside the kernel: the datapath with churn.bpf.c around it, and what drives that.
import { join } from 'node:path';
import { compileObject } from '../../src/bpf/clang.js';
import type { KernelMap } from '../../src/bpf/map.js';
import type { BpfObject } from '../../src/bpf/object.js';
import { runWalk } from '../../src/datapath/walk.js';
import { type Setup, SKB, TestDatapath } from './datapath.js';
import { type Device, from, V4 } from './world.js';

const ROOT = join(import.meta.dirname, '../..');

/** enum churn_phase, in the order of a flow's life. */
const PHASES = { open: 0, answer: 1, end: 2, ended: 3, last: 4 } as const;
type Phase = keyof typeof PHASES;
const FROM_REMOTE: ReadonlySet<Phase> = new Set(['answer', 'ended']);

interface Lane {
  readonly next: number;
  readonly pod: number;
  readonly port_first: number;
  readonly failed: number;
}

interface ChurnMaps {
  readonly churn_lanes: { readonly key: number; readonly value: Lane };
}

export interface Census {
  readonly entries: number;
  /** Entries whose pair is missing, or is not theirs. */
  readonly halves: number;
}

/** Compiles test/support/churn.bpf.c and returns the object's path. */
async function compileChurn(): Promise<string> {
  const objectPath = join(ROOT, 'build/test-objects/churn.bpf.o');
  await compileObject({ source: join(import.meta.dirname, 'churn.bpf.c'), includeDir: join(ROOT, 'bpf'), objectPath });
  return objectPath;
}

export class Churn implements Disposable {
  readonly datapath: TestDatapath;
  readonly #lanes: KernelMap<number, Lane>;

  private constructor(datapath: TestDatapath) {
    this.datapath = datapath;
    this.#lanes = (datapath.object as unknown as BpfObject<ChurnMaps>).map('churn_lanes');
  }

  static async open(setup: Setup): Promise<Churn> {
    return new Churn(await TestDatapath.open({ ...setup, objectPath: await compileChurn() }));
  }

  /** Begins and ends flows `first` to `first + count - 1` of a pod, on a thread of its own. */
  async run(lane: number, pod: 'a' | 'b', { first, count }: { first: number; count: number }): Promise<void> {
    for (const phase of Object.keys(PHASES) as Phase[]) {
      // Two lanes of one pod do not use the same ports.
      const port_first = 1024 + lane * 30_000;
      this.#lanes.set(lane, { next: first, pod: numberOf(V4[pod]), port_first, failed: 0 });
      const device = FROM_REMOTE.has(phase) ? 'uplink' : pod;
      await this.datapath
        .program('churn')
        .run({ data: frameFor(device), context: this.#context(device, lane, phase), repeat: count });
      const { failed = 0 } = this.#lanes.get(lane) ?? {};
      if (failed > 0) throw new Error(`lane ${lane} could not make ${failed} packets of '${phase}'`);
    }
  }

  /** As if nothing had come for so many seconds. */
  async age(seconds: number): Promise<void> {
    await this.#call('churn_age', numberBytes(seconds));
  }

  async sweep(): Promise<void> {
    await runWalk(this.datapath.program('sweep_flows'));
  }

  async count(): Promise<Census> {
    const census = await this.#call('churn_count', Buffer.alloc(8));
    return { entries: census.readUInt32LE(0), halves: census.readUInt32LE(4) };
  }

  [Symbol.dispose](): void {
    this.#lanes.close();
    this.datapath[Symbol.dispose]();
  }

  async #call(program: string, context: Buffer | undefined): Promise<Buffer> {
    const { retval, context: out } = await this.datapath.program(program).run(context === undefined ? {} : { context });
    if (retval !== 0) throw new Error(`${program} returned ${retval}`);
    return out;
  }

  #context(device: Device, lane: number, phase: Phase): Buffer {
    const context = Buffer.alloc(SKB.bytes);
    context.writeUInt32LE(this.datapath.ifindex[device], SKB.ifindex);
    context.writeUInt32LE(lane, SKB.cb);
    context.writeUInt32LE(PHASES[phase], SKB.cb + 4);
    return context;
  }
}

/** What is written over each time: of the right length, and addressed to the device that it comes in by. */
function frameFor(device: Device): Buffer {
  return from(device).ip({ source: V4.a, destination: V4.remote }).tcp({ source: 1, destination: 2 }).bytes();
}

function numberBytes(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
}

function numberOf(address: string): number {
  return Buffer.from(address.split('.').map(Number)).readUInt32BE();
}
