// Run by itself in a namespace: opens many TCP connections, says how that went, and holds them until it is told to end.
//   node hold-connections.ts ADDRESS PORT COUNT
import { connect, type Socket } from 'node:net';

/** What it prints, as one line of JSON, when every connection is open or failed. */
export interface HoldReport {
  readonly open: number;
  /** How many failed, by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Milliseconds that connecting took, of those that are open; of the failed ones. */
  readonly opened: readonly number[];
  readonly failed: readonly number[];
}

const CONCURRENT = 8;

const [address = '', port = '', count = ''] = process.argv.slice(2);
const sockets: Socket[] = [];
const opened: number[] = [];
const failed: number[] = [];
const errors: Record<string, number> = {};

function open(): Promise<void> {
  const started = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: Number(port) });
    socket.once('connect', () => {
      opened.push(Math.round(performance.now() - started));
      sockets.push(socket);
      resolve();
    });
    socket.on('error', ({ code = 'none' }: NodeJS.ErrnoException) => {
      if (sockets.includes(socket)) return;
      failed.push(Math.round(performance.now() - started));
      errors[code] = (errors[code] ?? 0) + 1;
      resolve();
    });
  });
}

let left = Number(count);
async function worker(): Promise<void> {
  while (left-- > 0) await open();
}

await Promise.all(Array.from({ length: CONCURRENT }, worker));
const report: HoldReport = { open: sockets.length, errors, opened, failed };
process.stdout.write(`${JSON.stringify(report)}\n`);
// Whoever started it closes its input, by dying if need be.
process.stdin.resume().on('end', () => process.exit());
