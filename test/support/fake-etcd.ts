import type { IncomingMessage, ServerResponse } from 'node:http';
import { startHttpService } from './http-service.ts';

/** Answers one request; `body` is its JSON. */
export type FakeAnswer = (
  body: Record<string, never>,
  response: ServerResponse,
  request: IncomingMessage,
) => void;

/** A server in the place of etcd's gateway that answers what a test wants. */
export interface FakeEtcd extends AsyncDisposable {
  readonly url: string;
  /** Replaces the answer of a path, `/v3/kv/txn` for example. */
  on(path: string, answer: FakeAnswer): void;
  /** How often a path was asked for. */
  asked(path: string): number;
  /** Sends a line to every watch that is open. */
  tellWatches(line: object): void;
  /** Watches that are open now. */
  readonly watches: number;
  /** Answers as an empty cluster does. */
  readonly honest: Readonly<Record<string, FakeAnswer>>;
}

export const header = (revision: number, cluster = '7') => ({
  cluster_id: cluster,
  member_id: '1',
  revision: String(revision),
  raft_term: '2',
});

export const json = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
};

/** Starts a fake that is empty at revision `revision`. */
export async function startFakeEtcd(revision = 1): Promise<FakeEtcd> {
  const open = new Set<ServerResponse>();
  const honest: Record<string, FakeAnswer> = {
    '/v3/kv/range': (_body, response) => json(response, { header: header(revision) }),
    '/v3/kv/txn': (body, response) => {
      const { success = [] }: { success?: readonly Record<string, unknown>[] } = body;
      const responses = success.map((one) =>
        'request_range' in one ? { response_range: {} } : { response_put: {} },
      );
      json(response, { header: header(revision), succeeded: true, responses });
    },
    '/v3/watch': (_body, response) => {
      open.add(response);
      response.on('close', () => open.delete(response));
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`${JSON.stringify({ result: { header: header(revision), created: true } })}\n`);
    },
  };
  const answers: Record<string, FakeAnswer> = { ...honest };
  const service = await startHttpService((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, never>;
      const answer = answers[request.url ?? ''];
      if (answer === undefined) response.writeHead(404).end();
      else answer(body, response, request);
    });
  });
  return {
    url: service.url,
    honest,
    on: (path, answer) => {
      answers[path] = answer;
    },
    asked: (path) => service.requests.filter((one) => one === path).length,
    tellWatches: (line) => {
      for (const response of open) response.write(`${JSON.stringify(line)}\n`);
    },
    get watches() {
      return open.size;
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}
