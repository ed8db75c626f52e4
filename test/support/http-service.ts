import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';

/** A service on a free port of 127.0.0.1. */
export interface HttpService extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: readonly string[];
}

/** Starts a service that answers with this listener. */
export async function startHttpService(answer: RequestListener): Promise<HttpService> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not listening on TCP');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
