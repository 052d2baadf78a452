// Real sockets of a namespace, by lines of JSON on stdin and stdout: run by sockets.ts with nsenter. Imports nothing of ours.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface Request {
  readonly id: number;
  readonly op: 'udp' | 'attach' | 'send' | 'listen' | 'connect' | 'write' | 'end' | 'reset' | 'close';
  readonly handle?: number;
  readonly family?: 4 | 6;
  readonly address?: string;
  readonly port?: number;
  readonly localPort?: number;
  readonly text?: string;
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** An answer has an id; what happens by itself has none. */
export interface Report {
  readonly id?: number;
  readonly handle?: number;
  readonly port?: number;
  readonly error?: string;
  readonly from?: Place;
  readonly text?: string;
  readonly accepted?: number;
  readonly ended?: boolean;
}

const sockets = new Map<number, UdpSocket | Socket | Server>();
let last = 0;

function tell(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

function keep(socket: UdpSocket | Socket | Server): number {
  const handle = ++last;
  sockets.set(handle, socket);
  return handle;
}

function get<T>(request: Request): T {
  const socket = sockets.get(request.handle ?? 0);
  if (socket === undefined) throw new Error(`no socket ${request.handle}`);
  return socket as T;
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}

function openUdp({ id, family = 4, port = 0, address }: Request): void {
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', reuseAddr: true });
  const handle = keep(socket);
  socket.on('message', (text, { address: from, port: fromPort }) => {
    tell({ handle, from: { address: from, port: fromPort }, text: text.toString() });
  });
  socket.on('error', (error) => tell({ handle, error: codeOf(error) }));
  socket.bind({ port, ...(address === undefined ? {} : { address }) }, () => {
    tell({ id, handle, port: socket.address().port });
  });
}

/** Errors about what was sent are told to a socket with one peer only. */
function attach(request: Request): void {
  const { id, port = 0, address = '' } = request;
  get<UdpSocket>(request).connect(port, address, () => tell({ id }));
}

function send(request: Request): void {
  const { id, port, address, text = '' } = request;
  const done = (error: Error | null): void => tell({ id, ...(error && { error: codeOf(error) }) });
  const socket = get<UdpSocket>(request);
  if (port === undefined) socket.send(text, done);
  else socket.send(text, port, address, done);
}

function watch(socket: Socket, handle: number): void {
  socket.setNoDelay(true);
  socket.on('data', (text) => tell({ handle, text: text.toString() }));
  socket.on('error', (error) => tell({ handle, error: codeOf(error) }));
  socket.on('end', () => tell({ handle, ended: true }));
}

function listen({ id, address, port = 0 }: Request): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const accepted = keep(socket);
    watch(socket, accepted);
    tell({ handle, accepted, from: { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 } });
  });
  const handle = keep(server);
  server.on('error', (error) => tell({ id, error: codeOf(error) }));
  server.listen({ port, ...(address === undefined ? {} : { host: address }) }, () => tell({ id, handle }));
}

function open({ id, address = '', port = 0, localPort }: Request): void {
  const target = { host: address, port, allowHalfOpen: true, ...(localPort === undefined ? {} : { localPort }) };
  const socket = connect(target);
  const handle = keep(socket);
  const refused = (error: Error): void => tell({ id, error: codeOf(error) });
  socket.once('error', refused);
  socket.once('connect', () => {
    socket.off('error', refused);
    watch(socket, handle);
    tell({ id, handle, port: socket.localPort ?? 0 });
  });
}

function close(request: Request): void {
  const socket = get<UdpSocket | Socket | Server>(request);
  sockets.delete(request.handle ?? 0);
  if ('destroy' in socket) socket.destroy();
  else socket.close();
  tell({ id: request.id });
}

const OPERATIONS: Readonly<Record<Request['op'], (request: Request) => void>> = {
  udp: openUdp,
  attach,
  send,
  listen,
  connect: open,
  write: (request) => get<Socket>(request).write(request.text ?? '', () => tell({ id: request.id })),
  end: (request) => get<Socket>(request).end(() => tell({ id: request.id })),
  reset: (request) => {
    get<Socket>(request).resetAndDestroy();
    tell({ id: request.id });
  },
  close,
};

function handle(line: string): void {
  const request = JSON.parse(line) as Request;
  try {
    OPERATIONS[request.op](request);
  } catch (error) {
    tell({ id: request.id, error: codeOf(error as Error) });
  }
}

createInterface({ input: process.stdin })
  .on('line', handle)
  .on('close', () => process.exit(0));
tell({ id: 0 });
