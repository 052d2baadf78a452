// The process inside a namespace: `node inside-main.js JOB CPU fifo|other`. Answers each line of stdin and ends with it.
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What a job's module offers. */
export type Serve = (question: never) => Promise<unknown>;

const JOBS: Readonly<Record<string, () => Promise<{ serve: Serve }>>> = {
  generator: () => import('./generator.js'),
  sink: () => import('./sink.js'),
  redirect: () => import('./redirect.js'),
  'program-cost': () => import('./program-cost.js'),
  translation: () => import('./nat/translation.js'),
  sweeper: () => import('./nat/sweeper.js'),
  programmer: () => import('./service/programmer.js'),
};

const [job = '', cpu = '', policy = 'fifo'] = process.argv.slice(2);
const { serve } = (await JOBS[job]?.()) ?? { serve: undefined };
if (serve === undefined) throw new Error(`no job '${job}'; there is ${Object.keys(JOBS).join(', ')}`);
// Only this thread: the runtime's helpers must be able to run while it waits for them.
execFileSync('taskset', ['--pid', '--cpu-list', cpu, String(process.pid)], { stdio: 'ignore' });
if (policy === 'fifo') execFileSync('chrt', ['--fifo', '--pid', '1', String(process.pid)], { stdio: 'ignore' });
for await (const line of createInterface(process.stdin)) {
  const said = await serve(JSON.parse(line) as never).then(
    (answer) => ({ answer }),
    (error: Error) => ({ error: error.message }),
  );
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
// Open kernel objects would keep the loop alive; the kernel closes them.
process.exit();
