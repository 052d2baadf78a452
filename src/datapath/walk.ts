// A walk over the flow table in the kernel, in pieces between which others get the CPU.
import { BpfError } from '../bpf/error.js';
import type { NativeProgram } from '../bpf/native.js';
import { SWEEP_RESULT } from './types.gen.js';

/**
 * Runs a program that walks (sweep_flows, sweep_services, sweep_endpoint) until its walk is done, off the event loop.
 * `context` is its argument. Resolves to the number of pieces. Throws BpfError when it fails.
 */
export async function runWalk(program: Pick<NativeProgram, 'info' | 'run'>, context?: Uint8Array): Promise<number> {
  for (let pieces = 1; ; pieces++) {
    const { retval } = await program.run(context === undefined ? {} : { context: Uint8Array.from(context) });
    if (retval === SWEEP_RESULT.SWEEP_DONE) return pieces;
    if (retval !== SWEEP_RESULT.SWEEP_MORE) throw new BpfError(`program ${program.info.name} returned ${retval}`);
  }
}
