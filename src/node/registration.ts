import type { NodeIdentity } from '../boot/node/identity.ts';
import { toBase64 } from '../bytes/base64.ts';
import { Nonce } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { openJsonRpcSocket } from '../chain/json-rpc-socket.ts';
import type { Config } from '../config/schema.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { Log } from '../observe/log.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import type { Clock } from '../time/clock.ts';
import { orAborted } from '../time/or-aborted.ts';
import { registrationContext, registrationReportData } from '../trust/registration.ts';
import type { NodeParts } from './parts.ts';

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
      const record = {
        stash: registration.stash,
        account: encodeSs58(account),
        x25519PublicKey: toPrefixedHex(x25519PublicKey),
        endpoint: registration.endpoint,
        quote: toBase64(await orAborted(quotes.quote(reportData), signal)),
      };
      await callRpc(registration.chainEndpoints[0] ?? '', 'dev_registerServer', [record], signal);
      log('info', 'node.registered', { account: encodeSs58(account), endpoint: registration.endpoint });
      return;
    } catch (error) {
      if (signal.aborted) return;
      log('warn', 'node.not-registered', { error: error instanceof Error ? error.message : String(error) });
      await clock.sleep(RETRY_MS, signal);
    }
  }
}

/** Registers a node if its configuration asks for it; nothing on a real chain. Resolves when it is done. */
export async function registerIfWanted(
  { developmentRegistration, endpoints }: Config['chain'],
  { quotes, random, log, clock }: Pick<NodeParts, 'quotes' | 'random' | 'log' | 'clock'>,
  identity: NodeIdentity,
  signal: AbortSignal,
): Promise<void> {
  if (developmentRegistration === undefined) return;
  await registerForDevelopment(
    { identity, quotes, random, log, clock, signal },
    { ...developmentRegistration, chainEndpoints: endpoints },
  );
}

/** One JSON-RPC call on a connection of its own. */
async function callRpc(
  endpoint: string,
  method: string,
  params: readonly unknown[],
  signal: AbortSignal,
): Promise<void> {
  const deadlines = { connectDeadlineMs: ANSWER_TIMEOUT_MS, requestDeadlineMs: ANSWER_TIMEOUT_MS };
  const socket = await openJsonRpcSocket({ endpoint, ...deadlines, signal });
  try {
    await socket.request(method, params);
  } finally {
    socket.close('the call is over');
  }
}
