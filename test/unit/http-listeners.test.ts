// Listeners that come and go: what is not wanted is closed, what cannot be opened is told, and nothing else suffers.
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { HttpListeners, type Listener } from '../../src/agent/http-listeners.js';

const HOST = '127.0.0.1';
const listeners = new HttpListeners();

afterEach(() => listeners.close());

const saying = (object: string, port: number, text = object): Listener => ({
  object,
  host: HOST,
  port,
  answer: (_request, response) => void response.end(text),
});

/** On a connection of its own. */
function ask(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  get({ host: HOST, port, agent: false }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.on('end', () => resolve(text));
  }).on('error', () => resolve('nobody'));
  return promise;
}

/** A port that somebody has, until `release`. */
async function takePort(): Promise<{ port: number; release: () => Promise<unknown> }> {
  const server = createServer((_request, response) => void response.end('squatter'));
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as AddressInfo;
  const release = () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    return closed;
  };
  return { port, release };
}

async function freePort(): Promise<number> {
  const { port, release } = await takePort();
  await release();
  return port;
}

test('what is wanted is open, with the newest answer, and what is not is closed', async () => {
  const [one, two] = [await freePort(), await freePort()];
  await listeners.apply([saying('one', one), saying('two', two)]);
  expect([await ask(one), await ask(two)]).toEqual(['one', 'two']);
  await listeners.apply([saying('one', one, 'one anew')]);
  expect([await ask(one), await ask(two)]).toEqual(['one anew', 'nobody']);
  expect(listeners.failures).toEqual([]);
});

test('a port changes its owner in one call, though a client holds a connection to the former', async () => {
  const [one, two] = [await freePort(), await freePort()];
  await listeners.apply([saying('one', one)]);
  const held = connect(one, HOST);
  await once(held, 'connect');
  const ended = once(held.resume(), 'close');
  expect(await ask(one)).toBe('one');
  await listeners.apply([saying('two', one), saying('one', two)]);
  await ended;
  expect([await ask(one), await ask(two)]).toEqual(['two', 'one']);
});

test('a port that is taken is a failure until it is free, and others are open', async () => {
  const { port, release } = await takePort();
  const other = await freePort();
  const wanted = [saying('one', port), saying('other', other)];
  await listeners.apply(wanted);
  expect(listeners.failures).toEqual([
    { object: 'one', address: `${HOST}:${port}`, reason: expect.stringMatching(/^cannot listen: .*EADDRINUSE/) },
  ]);
  expect([await ask(port), await ask(other)]).toEqual(['squatter', 'other']);
  await release();
  await listeners.apply(wanted);
  expect(listeners.failures).toEqual([]);
  expect([await ask(port), await ask(other)]).toEqual(['one', 'other']);
});

test('an address that this machine has not is a failure', async () => {
  await listeners.apply([{ ...saying('one', 8080), host: '192.0.2.77' }]);
  expect(listeners.failures).toMatchObject([{ address: '192.0.2.77:8080' }]);
});
