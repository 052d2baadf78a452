// Requests to the API server: one answer, or a stream of lines.
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { ApiError } from './api-error.js';
import type { Connection } from './connection.js';

export interface ApiRequest {
  readonly path: string;
  /** `GET` when absent. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH';
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** `application/json` when absent. */
  readonly contentType?: string;
  /** `application/json` when absent. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

export interface StreamRequest extends ApiRequest {
  /** Milliseconds without a byte after which the connection is dead, whatever the kernel believes. */
  readonly silence: number;
  readonly onLine: (line: string) => void;
}

/** What is measured of a request. */
export interface RequestDone {
  /** `GET`, or `WATCH`. */
  readonly verb: string;
  /** The HTTP status, or `<error>` when there was no answer. */
  readonly code: string;
  /** Until the answer began. */
  readonly seconds: number;
}

export interface ApiClientOptions {
  readonly connection: Connection;
  readonly onRequest?: (done: RequestDone) => void;
  /** Milliseconds without a byte that an answer may take. */
  readonly silence?: number;
}

const SILENCE = 30_000;

export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  get server(): string {
    return this.#options.connection.server.href;
  }

  /** The namespace of our service account; undefined when there is none. */
  get namespace(): string | undefined {
    return this.#options.connection.namespace;
  }

  /** The answer's object. Rejects with ApiError, or with the error of the connection. */
  async json(request: ApiRequest): Promise<unknown> {
    const response = await this.#send(request, this.#options.silence ?? SILENCE);
    return JSON.parse(await readText(response));
  }

  /** Resolves when the server ends the stream. Rejects as json() does, also when `onLine` throws. */
  async stream(request: StreamRequest): Promise<void> {
    const response = await this.#send(request, request.silence);
    response.setEncoding('utf8');
    let rest = '';
    for await (const chunk of response) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') request.onLine(line);
    }
  }

  /** Resolves with the answer when it is a success. */
  async #send(request: ApiRequest, silence: number): Promise<IncomingMessage> {
    const started = performance.now();
    const verb = 'onLine' in request ? 'WATCH' : (request.method ?? 'GET');
    const done = (code: string) => {
      this.#options.onRequest?.({ verb, code, seconds: (performance.now() - started) / 1000 });
    };
    try {
      const response = await this.#exchange(request, silence);
      done(String(response.statusCode));
      return await this.#requireSuccess(response);
    } catch (error) {
      if (!(error instanceof ApiError)) done('<error>');
      // A certificate that is not trusted looks like any other broken connection.
      if (!(error instanceof ApiError) || error.status === 401) this.#options.connection.renew();
      throw error;
    }
  }

  async #exchange(request: ApiRequest, silence: number): Promise<IncomingMessage> {
    const { connection } = this.#options;
    const authorized = await connection.authorize();
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const send = connection.server.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = send(urlOf(connection.server, request), {
      ...authorized,
      method: request.method ?? 'GET',
      headers: { ...authorized.headers, ...describeRequest(request) },
      ...(request.signal && { signal: request.signal }),
    });
    return answerOf(outgoing, body, silence);
  }

  async #requireSuccess(response: IncomingMessage): Promise<IncomingMessage> {
    const { statusCode = 0, headers } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw new ApiError(statusCode, parseStatus(await readText(response)), headers['retry-after']);
  }
}

function urlOf(server: URL, { path, query = {} }: ApiRequest): URL {
  const url = new URL(server);
  url.pathname = url.pathname.replace(/\/$/, '') + path;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

function describeRequest(request: ApiRequest): Record<string, string> {
  const { body, contentType = 'application/json', accept = 'application/json' } = request;
  return { accept, 'user-agent': 'isthmus', ...(body !== undefined && { 'content-type': contentType }) };
}

function answerOf(outgoing: ClientRequest, body: string | undefined, silence: number): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let answer: IncomingMessage | undefined;
  outgoing.setTimeout(silence, () => {
    // Whoever reads the answer learns of it only from the answer itself.
    (answer ?? outgoing).destroy(new Error(`the API server was silent for ${Math.round(silence / 100) / 10} s`));
  });
  outgoing.on('response', (response) => {
    answer = response;
    resolve(response);
  });
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** What is no Status is a proxy's page, or nothing. */
function parseStatus(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.trim().slice(0, 200) || 'an empty answer' };
  }
}
