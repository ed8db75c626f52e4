import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../bytes/hex.ts';
import { problemOf } from '../../errors/problem.ts';
import { objectOf } from '../foreign-server.ts';
import type { RawReply, SeenRequest } from './fault.ts';
import type { ScriptedServer } from './scripted-server.ts';

/** Largest body of a request that is read, in bytes. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Most bytes that an endless answer sends: far more than a client may read. */
const ENDLESS_BYTES = 64 * 1024 * 1024;
const CHUNK = 'x'.repeat(64 * 1024);
/** Between two pieces of an answer that never ends, but never stops either. */
const DRIP_MS = 20;

/** A scripted server on a port of its own, on 127.0.0.1. */
export class ScriptedListener {
  readonly server: ScriptedServer;
  /** Bytes that a client took of an endless answer. */
  endlessBytes = 0;
  readonly #http: Server;

  constructor(server: ScriptedServer) {
    this.server = server;
    this.#http = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** Base address, without a slash at the end. */
  async listen(): Promise<string> {
    this.#http.listen(0, '127.0.0.1');
    await once(this.#http, 'listening');
    const address = this.#http.address();
    if (address === null || typeof address === 'string') throw new TypeError('listens on TCP only');
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#http.close();
    this.#http.closeAllConnections();
    await once(this.#http, 'close');
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { server } = this;
    const request = await readRequest(incoming, server.options.nowMs());
    const earlier = [...server.requests];
    server.requests.push(request);
    const raw = server.options.fault?.reply?.(request, earlier);
    if (raw !== undefined) {
      server.hasErred = true;
      await this.#sendRaw(response, raw);
      return;
    }
    try {
      send(response, 200, 'application/json', await server.answer(request));
    } catch (error) {
      const problem = problemOf(error, toHex(server.options.random(16)));
      send(response, problem.status, 'application/problem+json', problem);
    }
  }

  async #sendRaw(response: ServerResponse, { status, headers = {}, body }: RawReply): Promise<void> {
    if (typeof body === 'string') {
      response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
      return;
    }
    if (body.kind === 'silence') return;
    if (body.kind === 'drip') return drip(response, 'HTTP/1.1 200 OK\r\nx-filler: ', 'x');
    if (body.kind === 'interim') return drip(response, '', 'HTTP/1.1 100 Continue\r\n\r\n');
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    if (body.kind === 'cut') {
      response.write('{"server":', () => response.destroy());
      return;
    }
    await pipeline(Readable.from(this.#endless()), response).catch(() => undefined);
  }

  *#endless(): Generator<string> {
    yield '{"server":"';
    while (this.endlessBytes < ENDLESS_BYTES) {
      this.endlessBytes += CHUNK.length;
      yield CHUNK;
    }
  }
}

/** Writes to the connection itself until the client closes it. */
async function drip({ socket }: ServerResponse, begin: string, piece: string): Promise<void> {
  socket?.write(begin);
  while (socket?.writable === true) {
    socket.write(piece);
    await sleep(DRIP_MS);
  }
}

function send(response: ServerResponse, status: number, type: string, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text);
}

async function readRequest(incoming: IncomingMessage, atMs: number): Promise<SeenRequest> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming) {
    // Without an encoding the parts of a request are buffers.
    const bytes = part as Buffer;
    length += bytes.length;
    if (length > MAX_BODY_BYTES) throw new RangeError('the body is too large');
    parts.push(bytes);
  }
  const body = Buffer.concat(parts).toString('utf8');
  const { method = '', url = '', rawHeaders } = incoming;
  return {
    method,
    path: url.split('?')[0] ?? '',
    contentType: incoming.headers['content-type'] ?? '',
    text: [method, url, ...rawHeaders, body].join('\n'),
    json: objectOf(body),
    atMs,
  };
}
