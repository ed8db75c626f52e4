import { parseBase64 } from '../bytes/base64.ts';
import { AccountId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { systemRandom } from '../crypto/random.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { boundedFetch, type Fetch } from '../outbound/bounded-fetch.ts';
import { type ForeignServerOptions, objectOf, type QuoteWish } from './foreign-server.ts';

/** Debug bit of TDATTRIBUTES, and the bit SEPT_VE_DISABLE that servers ask for. */
const DEBUG_ATTRIBUTES = '0x0100001000000000';
const TIMEOUT_MS = 20_000;
const MAX_BYTES = 64 * 1024;

/** The text of a good answer. @throws ProblemError INPUT_UNREADABLE when there is none. */
export async function askText(fetchLike: Fetch, url: string, body?: object): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const post = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await boundedFetch(fetchLike, {
    url,
    method,
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_BYTES,
    ...post,
  });
  if (!answer.ok || answer.status !== 200) {
    const observed = answer.ok ? `status ${answer.status}` : answer.reason;
    throw new ProblemError('INPUT_UNREADABLE', `${url} gives no answer: ${observed}`, {
      field: url,
      observed,
    });
  }
  return new TextDecoder().decode(answer.body);
}

const askJson = async (fetchLike: Fetch, url: string, body?: object) =>
  objectOf(await askText(fetchLike, url, body));

/** Makes quotes at a mock-tdx. */
export const quoteMaker =
  (quotes: string, fetchLike: Fetch) =>
  async ({ reportData, isDebug = false }: QuoteWish): Promise<Uint8Array> => {
    const measurements = isDebug ? { measurements: { tdAttributes: DEBUG_ATTRIBUTES } } : {};
    const wish = { reportData: toPrefixedHex(reportData), ...measurements };
    const made = await askJson(fetchLike, `${quotes.replace(/\/+$/, '')}/quote`, wish);
    return parseBase64(String(made['quote']), 'quote');
  };

/**
 * A server as it is reached over the network.
 * @param url base address of the server.
 * @param quotes base address of a mock-tdx; the server trusts its root.
 * @param known account and key of the server; what they are not given, the server is asked for (`GET /info`).
 * @throws ProblemError INPUT_UNREADABLE when the server or mock-tdx does not answer; EvidenceError FIELD_INVALID.
 */
export async function knownServer(
  url: string,
  quotes: string,
  known: { readonly account?: string; readonly x25519PublicKey?: string } = {},
  fetchLike: Fetch = (address, init) => fetch(address, init),
): Promise<ForeignServerOptions> {
  const base = url.replace(/\/+$/, '');
  const info = await askJson(fetchLike, `${base}/info`);
  const text = (field: 'accountId' | 'x25519PublicKey'): string => String(info[field]);
  return {
    url: base,
    account: AccountId.parse(known.account ?? text('accountId'), 'account'),
    x25519PublicKey: X25519PublicKey.parse(
      known.x25519PublicKey ?? text('x25519PublicKey'),
      'x25519PublicKey',
    ),
    fetch: fetchLike,
    quote: quoteMaker(quotes, fetchLike),
    random: systemRandom,
    nowMs: Date.now,
  };
}
