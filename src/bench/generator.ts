// Inside a pod's namespace: sends a frame as fast as one CPU can, without sockets.
import type { NativeError, NativeProgram } from '../bpf/native.js';
import { loadPrograms } from './programs.js';

export interface GeneratorQuestion {
  /** Sent out of this device; hexadecimal. Given at first. */
  readonly load?: { readonly ifindex: number; readonly frame: string };
  readonly packets: number;
}

export interface GeneratorAnswer {
  readonly nanoseconds: number;
}

const XDP_LIVE_FRAMES = 2;
const ATTEMPTS = 5;
let generate: NativeProgram | undefined;

export async function serve({ load, packets }: GeneratorQuestion): Promise<GeneratorAnswer> {
  if (load !== undefined) generate = await loadGenerator(load);
  if (generate === undefined) throw new Error('no frame was given');
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

async function loadGenerator({ ifindex, frame }: Required<GeneratorQuestion>['load']): Promise<NativeProgram> {
  const bytes = Buffer.from(frame, 'hex');
  const words = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(index * 4));
  return (await loadPrograms({ ifindex, frame: words })).program('generate');
}
