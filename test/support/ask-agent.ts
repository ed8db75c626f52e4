import { request } from 'node:http';

/** The answer of an agent; the body is undefined when there was no answer. */
export interface AgentAnswer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Asks an agent on its Unix socket; `undefined` while the socket has no listener. */
export function askAgent(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<AgentAnswer | undefined> {
  return new Promise((resolve) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const asking = request({ socketPath, method, path, headers, timeout: 20_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve(undefined));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) });
      });
    });
    asking.on('error', () => resolve(undefined));
    asking.on('timeout', () => asking.destroy());
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Asks again until the answer is as wanted. @throws Error with the last answer when time is up. */
export async function agentUntil(
  socketPath: string,
  path: string,
  isWanted: (answer: AgentAnswer) => boolean,
  timeoutMs = 120_000,
): Promise<AgentAnswer> {
  const end = Date.now() + timeoutMs;
  let last: AgentAnswer | undefined;
  while (Date.now() < end) {
    last = await askAgent(socketPath, 'GET', path);
    if (last !== undefined && isWanted(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  throw new Error(`${path}: not as wanted; last ${JSON.stringify(last)}`);
}
