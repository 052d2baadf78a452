// Inside a pod's namespace: sends frames as fast as one CPU can, without sockets.
import type { NativeError, NativeProgram } from '../bpf/native.js';
import { loadPrograms } from './programs.js';

/** Flows that frames belong to: for each destination port 2^sourceBits source ports, from the frame's own on. */
export interface FlowChoice {
  readonly flows: number;
  readonly sourceBits: number;
}

export interface GeneratorLoad {
  /** Sent out of this device; hexadecimal. */
  readonly ifindex: number;
  readonly frame: string;
  /** Only the frame's own flow when absent. */
  readonly choice?: FlowChoice;
}

export interface GeneratorQuestion {
  /** Tells loads apart; `frame` when absent. */
  readonly name?: string;
  /** Given at first. */
  readonly load?: GeneratorLoad;
  readonly packets: number;
}

export interface GeneratorAnswer {
  readonly nanoseconds: number;
}

const XDP_LIVE_FRAMES = 2;
const ATTEMPTS = 5;
/** Of all flows, one step: the golden section, so that neighbours in time are far apart. */
const STRIDE_SHARE = 0.618;
const PROTOCOL_AT = 23;
const TCP = 6;
const loaded = new Map<string, NativeProgram>();

export async function serve({ name = 'frame', load, packets }: GeneratorQuestion): Promise<GeneratorAnswer> {
  if (load !== undefined) loaded.set(name, await loadGenerator(load));
  const generate = loaded.get(name);
  if (generate === undefined) throw new Error(`no frame '${name}' was given`);
  for (let attempt = 1; ; attempt++) {
    const started = process.hrtime.bigint();
    if (send(generate, packets)) return { nanoseconds: Number(process.hrtime.bigint() - started) };
    if (attempt === ATTEMPTS) throw new Error(`interrupted by signals ${ATTEMPTS} times`);
  }
}

/** false when a signal, as the runtime has them for itself, has cut the run short. */
function send(program: NativeProgram, packets: number): boolean {
  try {
    program.testRun({ data: Buffer.alloc(64), repeat: packets, flags: XDP_LIVE_FRAMES });
    return true;
  } catch (error) {
    if ((error as NativeError).code === 'EINTR') return false;
    throw error;
  }
}

async function loadGenerator({ ifindex, frame, choice }: GeneratorLoad): Promise<NativeProgram> {
  const bytes = Buffer.from(frame, 'hex');
  const words = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(index * 4));
  const tcp = bytes.readUInt8(PROTOCOL_AT) === TCP ? 1 : 0;
  const flows = choice === undefined ? {} : { flows: choice.flows, source_bits: choice.sourceBits };
  const stride = choice === undefined ? 0 : strideOf(choice.flows);
  return (await loadPrograms({ ifindex, frame: words, ...flows, stride, tcp })).program('generate');
}

/** Less than the number of flows and without a common divisor, so that all have their turn. */
export function strideOf(flows: number): number {
  for (let stride = Math.floor(flows * STRIDE_SHARE); stride > 1; stride--)
    if (divisor(stride, flows) === 1) return stride;
  return 1;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
