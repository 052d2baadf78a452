// A process of its own that runs packets through pinned programs, as a CPU of its own does. Run by Node as it is: types only.
// argv: the addon. stdin: one line of JSON a batch (see Batch); stdout: one line a batch, the verdicts by number.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import type { Native, NativeProgram } from '../../src/bpf/native.js';

/** Programs by pin, packets in base64; a packet without bytes is a call of a syscall program. */
export interface Batch {
  readonly runs: readonly { readonly program: string; readonly data?: string; readonly context?: string }[];
  /** When to begin, and when to begin no other round: nanoseconds of the monotonic clock, as text. */
  readonly start: string;
  readonly end: string;
}

/** What came of it. */
export interface BatchResult {
  /** Runs by what they returned. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Nanoseconds of the monotonic clock, as text. */
  readonly began: string;
  readonly ended: string;
}

const native = createRequire(import.meta.url)(process.argv[2] ?? '') as Native;
const programs = new Map<string, NativeProgram>();

function programAt(pin: string): NativeProgram {
  const program = programs.get(pin) ?? native.openPinnedProgram(pin);
  programs.set(pin, program);
  return program;
}

function run({ runs, start, end }: Batch): BatchResult {
  const ready = runs.map(({ program, data, context }) => ({
    program: programAt(program),
    options:
      data === undefined ? {} : { data: Buffer.from(data, 'base64'), context: Buffer.from(context ?? '', 'base64') },
  }));
  const verdicts: Record<string, number> = {};
  const clock = process.hrtime.bigint;
  while (clock() < BigInt(start));
  const began = clock();
  do {
    for (const { program, options } of ready) {
      const { retval } = program.testRun(options);
      verdicts[retval] = (verdicts[retval] ?? 0) + 1;
    }
  } while (clock() < BigInt(end));
  return { verdicts, began: String(began), ended: String(clock()) };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(run(JSON.parse(line) as Batch))}\n`);
}
