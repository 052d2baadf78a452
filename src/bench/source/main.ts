// Memory and time of the Kubernetes source: `node build/src/bench/source/main.js [PODS SERVICES NODES]`.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SubjectAnswer } from './subject-main.js';

const RATE = 200;
const SECONDS = 10;
const MEGABYTE = 1024 * 1024;

const [pods = 10_000, services = 5000, nodes = 100] = process.argv.slice(2).map(Number);
console.log(`${pods} pods, ${services} Services, ${nodes} nodes; then ${RATE} events a second for ${SECONDS} s`);
console.log(row(['', 'SYNCED s', 'RSS MB', 'PEAK MB', 'EVENT p50 ms', 'p99 ms']));
for (const watched of ['none', 'pods']) await measure(watched);
console.log('goals: synced in 10 s, RSS 200 MB, an event in 10 ms (p99), of which the maps take what is left');

async function measure(watched: string): Promise<void> {
  const api = run('api-main.js', [pods, services, nodes].map(String));
  const url = await next(api);
  const subject = run('subject-main.js', [url, watched, String(SECONDS + 2)]);
  await next(subject);
  api.process.stdin?.write(`${RATE} ${SECONDS}\n`);
  const answer = JSON.parse(await next(subject)) as SubjectAnswer;
  api.process.kill();
  print(watched === 'pods' ? 'and all pods watched' : 'what the agent watches', answer);
}

function print(name: string, { synced, rss, peakRss, latencies }: SubjectAnswer): void {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => String(sorted[Math.floor(sorted.length * share)] ?? 'none');
  const sizes = [rss, peakRss].map((bytes) => (bytes / MEGABYTE).toFixed(0));
  console.log(row([name, (synced / 1000).toFixed(2), ...sizes, at(0.5), at(0.99)]));
}

function row([name = '', ...cells]: readonly string[]): string {
  return name.padEnd(24) + cells.map((cell) => cell.padStart(14)).join('');
}

interface Running {
  readonly process: ChildProcess;
  readonly lines: AsyncIterator<string>;
}

function run(file: string, args: readonly string[]): Running {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return { process: child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
}

async function next({ lines }: Running): Promise<string> {
  const { value, done } = await lines.next();
  if (done) throw new Error('a part of the measurement ended; what it wrote says why');
  return value;
}
