import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, ReportData, SlotId } from '../bytes/fixed-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { ChallengeIssuer } from '../protocol/challenge.ts';
import type { KeyRequest } from '../protocol/decode.ts';
import { isPlainSlotId, requestReportData } from '../protocol/report-data.ts';
import { parseQuote, type Quote } from '../tdx/quote.ts';

const proofKey = Symbol('bindRequest');

/**
 * Proof that a request has a young challenge of this server and that its quote names its parameters. Whether the quote
 * is genuine is not known yet. Made by {@link bindRequest} only; the private field keeps look-alikes from compiling.
 */
export class BoundRequest {
  readonly request: KeyRequest;
  readonly quote: Quote;
  readonly slotId: SlotId;
  readonly #reportData: ReportData;

  constructor(
    key: typeof proofKey,
    parts: Pick<BoundRequest, 'request' | 'quote' | 'slotId' | 'reportData'>,
  ) {
    if (key !== proofKey) throw new TypeError('a BoundRequest is made by bindRequest only');
    this.request = parts.request;
    this.quote = parts.quote;
    this.slotId = parts.slotId;
    this.#reportData = parts.reportData;
    Object.freeze(this);
  }

  get reportData(): ReportData {
    return this.#reportData;
  }
}

/**
 * Handshake: reads the quote's fixed structure, checks that the request is addressed to this server under a challenge
 * of this server, and that report data = H(request). Costs one HMAC and one SHA-512.
 * @throws EvidenceError QUOTE_…, SERVER_NOT_ADDRESSED, CHALLENGE_…, REPORT_DATA_MISMATCH or FIELD_INVALID.
 */
export function bindRequest(
  request: KeyRequest,
  self: AccountId,
  challenges: ChallengeIssuer,
  nowMs: number,
): BoundRequest {
  const quote = parseQuote(request.quote);
  const addressed = request.servers.find(({ server }) => equalBytes(server, self));
  if (addressed === undefined) {
    throw new EvidenceError('SERVER_NOT_ADDRESSED', 'this server is not among the servers of the request', {
      field: 'servers',
      hint: 'the address belongs to another account now; read its record on the chain again',
    });
  }
  requireSlotIdFor(request, addressed.slotId);
  challenges.check(addressed.nonce, request.account, request.ephemeralPublicKey, nowMs);
  const reportData = requestReportData(request);
  if (!equalBytes(quote.body.reportData, reportData)) {
    throw new EvidenceError(
      'REPORT_DATA_MISMATCH',
      'the report data of the quote is not the hash of this request',
      {
        field: 'quote report data',
        expected: 'SHA-512 over the request as docs/protocol.md describes',
        observed: 'another value',
        hint: 'account, ephemeral key, intent, servers, challenges and slot ids must be exactly those that were quoted',
      },
    );
  }
  return new BoundRequest(proofKey, { request, quote, slotId: addressed.slotId, reportData });
}

function requireSlotIdFor({ intent }: KeyRequest, slotId: SlotId): void {
  const plain = isPlainSlotId(slotId);
  if (intent === 'create' && plain) throw slotIdError('a random slot id with intent create', 'none');
  if (intent === 'get-or-create' && !plain) throw slotIdError('no slot id with intent get-or-create', 'one');
}

function slotIdError(expected: string, observed: string): EvidenceError {
  return new EvidenceError('FIELD_INVALID', `servers.slotId: expected ${expected}, got ${observed}`, {
    field: 'servers.slotId',
    expected,
    observed,
  });
}
