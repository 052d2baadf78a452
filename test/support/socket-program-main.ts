// A program with sockets, in whatever namespace and cgroup it was started: obeys one line of JSON at a time.
import { createSocket, type Socket as DatagramSocket, type RemoteInfo } from 'node:dgram';
import { createServer, connect as openTcp, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Answer, Request, SocketEnd } from './socket-program.js';

const streams = new Map<number, Socket>();
const datagrams = new Map<number, DatagramSocket>();
/** What a datagram socket got and nobody has asked for, and who waits for more. */
const inboxes = new Map<number, { got: Answer[]; waiting: ((answer: Answer) => void)[] }>();

const end = (address = '', port = 0): SocketEnd => ({ address, port });
const failed = (error: Error): Answer => ({ error: (error as NodeJS.ErrnoException).code ?? error.message });

function serve(name: string, port: number): Promise<Answer> {
  const answer = (address = '', from = 0): string => `${name} ${address} ${from}\n`;
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.write(answer(socket.remoteAddress, socket.remotePort)));
  });
  const udp = createSocket({ type: 'udp6' });
  udp.on('message', (_, from) => udp.send(answer(from.address, from.port), from.port, from.address));
  return new Promise((resolve) => tcp.listen(port, '::', () => udp.bind(port, '::', () => resolve({}))));
}

function openStream({ id, address, port }: Extract<Request, { do: 'connect' }>): Promise<Answer> {
  const socket = openTcp({ host: address, port });
  streams.set(id, socket);
  return new Promise((resolve) => {
    socket.once('error', (error) => resolve(failed(error)));
    socket.once('connect', () => resolve({ peer: end(socket.remoteAddress, socket.remotePort) }));
  });
}

/** The next thing that happens to a connection: bytes, an error or its end. */
function ask({ id }: { id: number }, say: boolean): Promise<Answer> {
  const socket = streams.get(id);
  if (socket === undefined) return Promise.resolve({ error: 'no such stream' });
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const over = (answer: Answer) => {
    socket.removeAllListeners();
    socket.on('error', () => {});
    resolve(answer);
  };
  socket.once('data', (bytes) => over({ text: bytes.toString() }));
  socket.once('error', (error) => over(failed(error)));
  socket.once('close', () => over({ error: 'closed' }));
  if (socket.errored !== null) over(failed(socket.errored));
  else if (say) socket.write('who\n');
  return promise;
}

function openDatagram(request: Extract<Request, { do: 'open' }>): Promise<Answer> {
  const socket = createSocket(request.type);
  const inbox = { got: [] as Answer[], waiting: [] as ((answer: Answer) => void)[] };
  const deliver = (answer: Answer) => {
    const first = inbox.waiting.shift();
    if (first === undefined) inbox.got.push(answer);
    else first(answer);
  };
  datagrams.set(request.id, socket);
  inboxes.set(request.id, inbox);
  socket.on('message', (bytes: Buffer, from: RemoteInfo) =>
    deliver({ text: bytes.toString(), peer: end(from.address, from.port) }),
  );
  socket.on('error', (error) => deliver(failed(error)));
  return new Promise((resolve) => socket.bind(0, () => resolve({})));
}

function connectDatagram({ id, address, port }: Extract<Request, { do: 'connectDatagram' }>): Promise<Answer> {
  const socket = datagrams.get(id);
  return new Promise((resolve) => {
    socket?.connect(port, address, (error?: Error) => {
      if (error !== undefined && error !== null) return resolve(failed(error));
      const { address: named, port: at } = socket.remoteAddress();
      resolve({ peer: end(named, at) });
    });
  });
}

/** To an address, or where the socket is connected to. */
function send({ id, address, port }: Extract<Request, { do: 'send' }>): Promise<Answer> {
  const socket = datagrams.get(id);
  return new Promise((resolve) => {
    const done = (error: Error | null) => resolve(error === null ? {} : failed(error));
    if (address === undefined) socket?.send('who', done);
    else socket?.send('who', port, address, done);
  });
}

function receive({ id, milliseconds }: Extract<Request, { do: 'receive' }>): Promise<Answer> {
  const inbox = inboxes.get(id);
  const first = inbox?.got.shift();
  if (first !== undefined) return Promise.resolve(first);
  return new Promise((resolve) => {
    inbox?.waiting.push(resolve);
    setTimeout(() => {
      if (inbox?.waiting.includes(resolve)) inbox.waiting.splice(inbox.waiting.indexOf(resolve), 1);
      resolve({ error: 'nothing came' });
    }, milliseconds);
  });
}

function close({ id }: { id: number }): Answer {
  streams.get(id)?.destroy();
  datagrams.get(id)?.close();
  streams.delete(id);
  datagrams.delete(id);
  return {};
}

async function obey(request: Request): Promise<Answer> {
  switch (request.do) {
    case 'serve':
      return serve(request.name, request.port);
    case 'connect':
      return openStream(request);
    case 'ask':
      return ask(request, true);
    case 'wait':
      return ask(request, false);
    case 'open':
      return openDatagram(request);
    case 'connectDatagram':
      return connectDatagram(request);
    case 'send':
      return send(request);
    case 'receive':
      return receive(request);
    case 'close':
      return close(request);
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { number, request } = JSON.parse(line) as { number: number; request: Request };
    obey(request)
      .catch(failed)
      .then((answer) => process.stdout.write(`${JSON.stringify({ number, answer })}\n`));
  })
  .on('close', () => process.exit());
