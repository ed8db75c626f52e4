import WebSocket from 'ws';
import type { NodeIdentity } from '../boot/identity.ts';
import { toBase64 } from '../bytes/base64.ts';
import { Nonce } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { Log } from '../observe/log.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import type { Clock } from '../time/clock.ts';
import { orAborted } from '../time/or-aborted.ts';
import { registrationContext, registrationReportData } from '../trust/registration.ts';

const RETRY_MS = 1_000;
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Registers this node on a development chain by that chain's own RPC, trying until it works. On a real chain the
 * operator registers; there is no such RPC.
 */
export async function registerForDevelopment(
  parts: {
    readonly identity: NodeIdentity;
    readonly quotes: QuoteSource;
    readonly random: RandomSource;
    readonly log: Log;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
  registration: {
    readonly stash: string;
    readonly endpoint: string;
    readonly chainEndpoints: readonly string[];
  },
): Promise<void> {
  const { identity, quotes, random, log, clock, signal } = parts;
  const { account, x25519PublicKey } = identity;
  while (!signal.aborted) {
    try {
      const nonce = Nonce.of(random(Nonce.byteLength));
      const reportData = registrationReportData(
        account,
        x25519PublicKey,
        registrationContext.validate,
        nonce,
      );
      const registering = callRpc(registration.chainEndpoints[0] ?? '', 'dev_registerServer', [
        {
          stash: registration.stash,
          account: encodeSs58(account),
          x25519PublicKey: toPrefixedHex(x25519PublicKey),
          endpoint: registration.endpoint,
          quote: toBase64(await orAborted(quotes.quote(reportData), signal)),
        },
      ]);
      await orAborted(registering, signal);
      log('info', 'node.registered', { account: encodeSs58(account), endpoint: registration.endpoint });
      return;
    } catch (error) {
      if (signal.aborted) return;
      log('warn', 'node.not-registered', { error: error instanceof Error ? error.message : String(error) });
      await clock.sleep(RETRY_MS, signal);
    }
  }
}

/** One JSON-RPC call on a connection of its own. */
function callRpc(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const timer = setTimeout(() => socket.terminate(), ANSWER_TIMEOUT_MS);
    socket.on('open', () => socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })));
    socket.on('message', (data) => {
      const answer: unknown = JSON.parse(String(data));
      const failed = typeof answer === 'object' && answer !== null && 'error' in answer;
      if (failed) reject(new Error(`${method}: ${JSON.stringify(answer.error)}`));
      else resolve(answer);
      socket.close();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new Error(`${url} closed the connection without an answer`));
    });
  });
}
