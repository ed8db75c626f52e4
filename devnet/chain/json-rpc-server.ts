import type { AddressInfo } from 'node:net';
import { type RawData, WebSocketServer } from 'ws';
import { Connection } from './connection.ts';
import { Lies, liesOfPath } from './lies/lies.ts';
import { invalidParams, RpcError, type RpcMethods } from './rpc.ts';

const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

/** Replaces a method's result; returns it unchanged to leave it alone. */
export type Tamper = (method: string, params: readonly unknown[], result: unknown) => unknown;

/** A WebSocket JSON-RPC server and its switches for faults. */
export interface JsonRpcServer {
  /** `ws://127.0.0.1:port`. */
  readonly url: string;
  /** Cuts every open connection, as a crash would; new ones are accepted. @returns how many there were. */
  dropConnections(): number;
  /** While silent, the server takes connections and requests and answers nothing. */
  setSilent(silent: boolean): void;
  /** Lets tests lie: the function sees every result before it is sent. */
  setTamper(tamper: Tamper | undefined): void;
  close(): Promise<void>;
}

/** A JSON-RPC request, as far as it was understood. */
interface Request {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

function parseRequest(data: RawData): Request {
  let value: unknown;
  try {
    // ws gives one Buffer per message with its default binaryType.
    value = JSON.parse((data as Buffer).toString('utf8'));
  } catch {
    throw new RpcError(-32700, 'Parse error');
  }
  if (
    typeof value !== 'object' ||
    value === null ||
    !('method' in value) ||
    typeof value.method !== 'string'
  ) {
    throw new RpcError(-32600, 'Invalid request');
  }
  const params = 'params' in value ? value.params : [];
  if (!Array.isArray(params)) throw invalidParams('positional parameters only');
  return { id: 'id' in value ? value.id : null, method: value.method, params };
}

function errorBody(error: unknown): { code: number; message: string } {
  if (error instanceof RpcError) return { code: error.code, message: error.message };
  // RangeError and TypeError are what the chain throws at bad parameters of its development methods.
  return { code: -32603, message: error instanceof Error ? error.message : String(error) };
}

function answer(
  connection: Connection,
  data: RawData,
  methods: RpcMethods,
  tamper: Tamper | undefined,
): void {
  let id: unknown = null;
  try {
    const request = parseRequest(data);
    id = request.id;
    const method = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    if (method === undefined) throw new RpcError(-32601, `Method not found: ${request.method}`);
    // JSON has no undefined, and an answer without result is none.
    const result = method(request.params, connection) ?? null;
    connection.send({
      id,
      result: tamper === undefined ? result : tamper(request.method, request.params, result),
    });
    connection.startSubscriptions();
  } catch (error) {
    connection.send({ id, error: errorBody(error) });
  }
}

/** The lies of a new connection: the lies for all connections, and those named in its URL. */
function liesFor(path: string | undefined, everybody: Lies): Lies | undefined {
  const lies = new Lies(everybody);
  try {
    lies.tell(liesOfPath(path ?? '/'));
    return lies;
  } catch {
    return undefined;
  }
}

/**
 * Listens on 127.0.0.1; port 0 takes a free one. When a URL names an unknown lie, the connection is closed by 1008.
 * @throws when the port is taken.
 */
export async function startJsonRpcServer(
  port: number,
  methods: RpcMethods,
  everybody: Lies,
): Promise<JsonRpcServer> {
  const server = new WebSocketServer({ host: '127.0.0.1', port, maxPayload: MAX_REQUEST_BYTES });
  let silent = false;
  let tamper: Tamper | undefined;
  server.on('connection', (socket, { url }) => {
    // A reset connection is reported here and by 'close'.
    socket.on('error', () => undefined);
    const lies = liesFor(url, everybody);
    if (lies === undefined) {
      socket.close(1008, 'unknown lie');
      return;
    }
    const connection = new Connection(socket, lies, () => silent);
    socket.on('message', (data) => {
      if (!silent) answer(connection, data, methods, tamper);
    });
    socket.on('close', () => connection.end());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  const dropConnections = (): number => {
    const count = server.clients.size;
    for (const socket of server.clients) socket.terminate();
    return count;
  };
  return {
    // A TCP server that listens has an AddressInfo; text and null are for pipes and closed servers.
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dropConnections,
    setSilent(value) {
      silent = value;
    },
    setTamper(value) {
      tamper = value;
    },
    async close() {
      dropConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
