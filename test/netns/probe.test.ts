// The probe, client against server, over the loopback of a namespace of this test.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const PROBE = `${import.meta.dirname.replace(/(\/build)?\/test\/.*$/, '')}/build/native/isthmus-probe`;
const NAME = `ist-probe-${process.pid}`;
const NETNS = ['--netns', `/run/netns/${NAME}`];
const PORT = '7000';
const FAMILIES = [
  { family: 'IPv4', address: '127.0.0.1', text: '127.0.0.1' },
  { family: 'IPv6', address: '::1', text: '[::1]' },
];

type Report = Record<string, string | number | boolean> & { readonly ok: boolean };

let server: ChildProcess;

function start(args: string[]): ChildProcess {
  return spawn(PROBE, [...args, ...NETNS], { stdio: ['ignore', 'pipe', 'inherit'] });
}

function output(child: ChildProcess): Promise<{ status: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, text }));
  });
}

/** The report of a client; checks that the exit status says the same. */
async function probe(...args: string[]): Promise<Report> {
  const { status, text } = await output(start(args));
  const report = JSON.parse(text) as Report;
  expect(status).toBe(report.ok ? 0 : 1);
  return report;
}

async function serve(...args: string[]): Promise<ChildProcess> {
  const child = start(['serve', '--die-with-parent', ...args]);
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', (text: Buffer) => (text.toString() === 'ready\n' ? resolve() : reject(text)));
    child.once('close', (status) => reject(new Error(`the server ended with ${status}`)));
  });
  return child;
}

async function stop(child: ChildProcess): Promise<number | null> {
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  return ended;
}

beforeAll(async () => {
  execFileSync('ip', ['netns', 'add', NAME]);
  execFileSync('ip', ['-n', NAME, 'link', 'set', 'lo', 'up']);
  server = await serve('--port', PORT);
});

afterAll(() => {
  server?.kill('SIGKILL');
  execFileSync('sh', ['-c', `ip netns del ${NAME} 2>/dev/null || true`]);
});

describe.each(FAMILIES)('over $family', ({ address, text }) => {
  test.each(['tcp', 'udp'])('%s who says what the server saw', async (protocol) => {
    const report = await probe(protocol, address, PORT, 'who');
    expect(report).toMatchObject({ ok: true, peer: `${text}:${PORT}` });
    expect(report.saw).toBe(report.local);
    expect(report.saw).toMatch(/:\d+$/);
  });

  test('bytes up, bytes down and there and back are verified', async () => {
    expect(await probe('tcp', address, PORT, 'sink', '1000003')).toMatchObject({ ok: true, bytes: 1_000_003 });
    expect(await probe('tcp', address, PORT, 'source', '1000003')).toMatchObject({ ok: true, bytes: 1_000_003 });
    const transfer = await probe('tcp', address, PORT, 'transfer', '--bytes', '3000001');
    expect(transfer).toMatchObject({ ok: true, sent: 3_000_001, bytes: 3_000_001, errors: 0 });
    expect(await probe('tcp', address, PORT, 'sink', '0')).toMatchObject({ ok: true, bytes: 0 });
  });

  test.each([4, 1472, 65_000])('a datagram of %i bytes comes back', async (size) => {
    expect(await probe('udp', address, PORT, 'echo', String(size))).toMatchObject({ ok: true, bytes: size });
  });

  test('a held connection echoes every numbered message', async () => {
    const report = await probe('tcp', address, PORT, 'hold', '--seconds', '0.5', '--rate', '100');
    expect(report).toMatchObject({ ok: true, errors: 0, sent: report.received });
    expect(report.sent).toBeGreaterThan(40);
    expect(report.bytes).toBe(Number(report.received) * 64);
  });

  test('a stream of datagrams comes back whole', async () => {
    const report = await probe('udp', address, PORT, 'stream', '--seconds', '0.5', '--rate', '100');
    expect(report).toMatchObject({ ok: true, lost: 0, duplicates: 0, damaged: 0, errors: 0, sent: report.received });
    expect(report.sent).toBeGreaterThan(40);
  });

  test('nobody at a port is ECONNREFUSED', async () => {
    expect(await probe('tcp', address, '7001', 'who')).toMatchObject({ ok: false, error: 'ECONNREFUSED' });
    expect(await probe('udp', address, '7001', 'who')).toMatchObject({ ok: false, error: 'ECONNREFUSED' });
  });
});

test('source address and port can be chosen', async () => {
  const local = ['--bind', '127.0.0.5', '--source-port', '5555'];
  const saw = '127.0.0.5:5555';
  expect(await probe('tcp', '127.0.0.1', PORT, 'who', ...local)).toMatchObject({ ok: true, local: saw, saw });
  expect(await probe('udp', '127.0.0.1', PORT, 'who', ...local)).toMatchObject({ ok: true, local: saw, saw });
});

test('a datagram is answered from the address that was asked', async () => {
  const asked = '127.0.0.9';
  expect(await probe('udp', asked, PORT, 'who')).toMatchObject({ ok: true, peer: `${asked}:${PORT}` });
});

test('a host that cannot be reached says so, at once', async () => {
  const report = await probe('tcp', '192.0.2.1', PORT, 'who');
  expect(report).toMatchObject({ ok: false, error: 'ENETUNREACH' });
  expect(report.ms).toBeLessThan(1000);
});

test('a server that keeps silent is ETIMEDOUT when the time is over', async () => {
  const silent = await serve('--port', '7002');
  silent.kill('SIGSTOP');
  for (const protocol of ['tcp', 'udp']) {
    const report = await probe(protocol, '127.0.0.1', '7002', 'who', '--timeout', '300');
    expect(report).toMatchObject({ ok: false, error: 'ETIMEDOUT' });
    expect(report.ms).toBeGreaterThanOrEqual(300);
  }
  silent.kill('SIGCONT');
  await stop(silent);
});

test('a connection whose server dies reports its error and the gap', async () => {
  const doomed = await serve('--port', '7003');
  const held = output(start(['tcp', '127.0.0.1', '7003', 'hold', '--seconds', '30', '--rate', '100']));
  await new Promise((resolve) => setTimeout(resolve, 300));
  doomed.kill('SIGKILL');
  const { status, text } = await held;
  const report = JSON.parse(text) as Report;
  expect(status).toBe(1);
  expect(report).toMatchObject({ ok: false });
  expect(['ECONNRESET', 'EPIPE']).toContain(report.error);
  expect(report.received).toBeGreaterThan(0);
});

test('datagrams that are not answered are counted as lost', async () => {
  const deaf = await serve('--port', '7004');
  const stream = output(
    start(['udp', '127.0.0.1', '7004', 'stream', '--seconds', '0.6', '--rate', '100', '--timeout', '200']),
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  deaf.kill('SIGKILL');
  const report = JSON.parse((await stream).text) as Report;
  expect(report).toMatchObject({ ok: false, error: 'ECONNREFUSED' });
  expect(report.received).toBeGreaterThan(5);
  expect(report.lost).toBe(Number(report.sent) - Number(report.received));
  expect(report.maxGapMs).toBeGreaterThan(150);
});

test.each([
  ['tcp', 'hold'],
  ['udp', 'stream'],
])('SIGTERM ends a %s %s with its report', async (protocol, action) => {
  const child = start([protocol, '127.0.0.1', PORT, action, '--seconds', '60', '--rate', '200']);
  const ended = output(child);
  await new Promise((resolve) => setTimeout(resolve, 400));
  child.kill('SIGTERM');
  const { status, text } = await ended;
  expect(status).toBe(0);
  expect(JSON.parse(text)).toMatchObject({ ok: true, errors: 0 });
});

test('SIGTERM ends a server; a port that is taken or an address that is not here refuses one', async () => {
  const other = await serve('--port', '7005', '--address', '127.0.0.1');
  expect(await probe('tcp', '127.0.0.2', '7005', 'who')).toMatchObject({ error: 'ECONNREFUSED' });
  expect(await probe('tcp', '127.0.0.1', '7005', 'who')).toMatchObject({ ok: true });
  expect(await stop(other)).toBe(0);
  for (const args of [
    ['--port', PORT],
    ['--port', '7005', '--address', '192.0.2.1'],
  ]) {
    const child = spawn(PROBE, ['serve', ...args, ...NETNS], { stdio: ['ignore', 'pipe', 'ignore'] });
    expect(await output(child)).toEqual({ status: 2, text: '' });
  }
});

test('what is no command or no number is refused with 2', async () => {
  for (const args of [[], ['tcp', '127.0.0.1'], ['tcp', 'localhost', PORT, 'who'], ['tcp', '::1', '70000', 'who']]) {
    const child = spawn(PROBE, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    expect(await output(child)).toEqual({ status: 2, text: '' });
  }
});

describe('the benchmark', () => {
  test.each(['rr', 'crr', 'udp_rr'])('%s measures transactions', async (name) => {
    const report = await probe('bench', name, '127.0.0.1', PORT, '--seconds', '0.4');
    expect(report).toMatchObject({ ok: true, test: name, errors: 0, synRetransmits: 0 });
    expect(report.count).toBeGreaterThan(100);
    expect(report.min).toBeGreaterThan(0);
    expect(report.p50).toBeLessThanOrEqual(Number(report.p99));
    expect(Number(report.p99)).toBeLessThanOrEqual(Number(report.max) * 1.01);
    expect(Number(report.mean) * Number(report.count)).toBeLessThanOrEqual(Number(report.seconds) * 1.01e6);
  });

  test('requests at a rate are timed from when they were due, and begin when they are told to', async () => {
    const began = process.hrtime.bigint();
    const start = String(began + 300_000_000n);
    const flags = ['--seconds', '0.2', '--rate', '1000', '--start', start];
    const report = await probe('bench', 'udp_rate', '127.0.0.1', PORT, ...flags);
    expect(process.hrtime.bigint() - began).toBeGreaterThan(490_000_000n);
    expect(report).toMatchObject({ ok: true, errors: 0, count: 200 });
    expect(Number(report.longestRoundTrip)).toBeLessThanOrEqual(Number(report.max) * 1.01);
  });

  test.each(['rr_rate', 'crr_rate'])('%s sends requests at a rate', async (name) => {
    const report = await probe('bench', name, '127.0.0.1', PORT, '--seconds', '0.2', '--rate', '100');
    expect(report).toMatchObject({ ok: true, errors: 0, count: 20 });
  });

  test('stream measures bytes', async () => {
    const report = await probe('bench', 'stream', '::1', PORT, '--seconds', '0.4', '--cc', 'cubic', '--cpu', '0');
    expect(report).toMatchObject({ ok: true, errors: 0 });
    expect(report.bytes).toBeGreaterThan(1e6);
  });

  test('many connections have a request each under way, and share a stream', async () => {
    const flags = ['--seconds', '0.3', '--flows', '8', '--cc', 'cubic', '--cpu', '0'];
    const requests = await probe('bench', 'rr', '127.0.0.1', PORT, ...flags);
    expect(requests).toMatchObject({ ok: true, errors: 0, resetsSent: 0, connectionsReset: 0 });
    expect(Number(requests.count) % 8).toBe(0);
    // All of a turn are under way at once: together they take less than one after the other would.
    expect(Number(requests.mean) * Number(requests.count)).toBeGreaterThan(Number(requests.seconds) * 1.5e6);
    const stream = await probe('bench', 'stream', '127.0.0.1', PORT, ...flags);
    expect(stream).toMatchObject({ ok: true, errors: 0 });
    expect(stream.bytes).toBeGreaterThan(1e6);
  });

  test('the first packet of a flow is timed for each source port, one after the other', async () => {
    const first = (...args: string[]) => probe('bench', 'udp_first', '127.0.0.1', PORT, '--seconds', '5', ...args);
    const whole = await first('--source-port', '21000', '--count', '50');
    expect(whole).toMatchObject({ ok: true, errors: 0, count: 50 });
    const holder = await serve('--port', '22003', '--address', '127.0.0.1');
    const from = ['--bind', '127.0.0.1', '--source-port', '22000'];
    expect(await first(...from, '--count', '2')).toMatchObject({ ok: true, count: 2 });
    expect(await first(...from, '--count', '5')).toMatchObject({ ok: false, errors: 1, count: 4, error: 'EADDRINUSE' });
    await stop(holder);
  });

  test('what cannot be measured together is refused', async () => {
    const tests = [
      ['crr', '--flows', '2'],
      ['rr', '--flows', '0'],
      ['udp_first', '--count', '5'],
    ];
    for (const [name = '', ...flags] of tests) {
      const child = spawn(PROBE, ['bench', name, '127.0.0.1', PORT, ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
      expect(await output(child)).toEqual({ status: 2, text: '' });
    }
  });

  test('who closes first keeps the connection in TIME_WAIT', async () => {
    const waiting = (filter: string) =>
      Number(
        execFileSync('nsenter', [
          `--net=/run/netns/${NAME}`,
          'sh',
          '-c',
          `ss -Htn state time-wait '${filter}' | wc -l`,
        ]),
      );
    const other = await serve('--port', '7006');
    const run = (...args: string[]) => probe('bench', 'crr', '127.0.0.1', '7006', '--seconds', '0.05', ...args);
    await run();
    const byClient = waiting('dport = :7006');
    expect(byClient).toBeGreaterThan(10);
    expect(waiting('sport = :7006')).toBe(0);
    expect(await run('--server-closes')).toMatchObject({ ok: true, errors: 0 });
    expect(waiting('sport = :7006')).toBeGreaterThan(10);
    await stop(other);
  });

  test('a server that is away is an error and no measurement', async () => {
    const report = await probe('bench', 'crr', '127.0.0.1', '7001', '--seconds', '5');
    // Both ends are in this namespace.
    expect(report).toMatchObject({ ok: false, error: 'ECONNREFUSED', count: 0, errors: 10, resetsSent: 10 });
    const never = await probe('bench', 'rr', '127.0.0.1', '7001', '--seconds', '5');
    expect(never).toMatchObject({ ok: false, error: 'ECONNREFUSED', count: 0, perSecond: 0 });
  });
});
