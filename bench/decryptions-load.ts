import { randomBytes } from 'node:crypto';
import autocannon from 'autocannon';
import { ANSWER } from './decryptions-messages.ts';
import type { Measured } from './harness.ts';

const LOAD_SECONDS = 4;
export const CONNECTIONS = 32;

export const newKey = (): string => randomBytes(32).toString('hex');

/** Asks as fast as so many connections can; a PUT is of a new key each time. */
export async function load(
  url: string,
  method: 'GET' | 'PUT' = 'GET',
  connections = CONNECTIONS,
): Promise<Measured> {
  const request =
    method === 'GET'
      ? { method }
      : {
          method,
          body: ANSWER,
          setupRequest: (made: object) => ({ ...made, path: `/decryption/${newKey()}` }),
        };
  const result = await autocannon({ url, connections, duration: LOAD_SECONDS, requests: [request] });
  if (result.non2xx + result.errors > 0) throw new Error(`${url}: ${result.non2xx + result.errors} failures`);
  return { opsPerSecond: result.requests.average, p50Ms: result.latency.p50, p99Ms: result.latency.p99 };
}

export async function put(url: string): Promise<void> {
  const response = await fetch(url, { method: 'PUT', body: ANSWER });
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`PUT: ${response.status}`);
}
