import { equalBytes } from '../bytes/concat.ts';
import { toHex, toPrefixedHex } from '../bytes/hex.ts';
import { ed25519Verify } from '../crypto/ed25519.ts';
import { EvidenceError, RefusalError } from '../errors/latchkey-error.ts';
import type { FleetSigners } from '../trust/fleet-authority.ts';
import { encodeHeader, type FleetHeader, headerHash, signingInput } from './fleet-header.ts';
import { decodeSignedHeader, type HeaderSignature } from './signed-header.ts';

const proofKey = Symbol('verifyHeader');

/** Proof that an authority signed a header. Made by {@link verifyHeader} only. */
export class VerifiedHeader {
  readonly header: FleetHeader;
  /** The exact bytes with the signatures, as they are handed on. */
  readonly signed: Uint8Array;
  /** Name of the manifest, 32 bytes. */
  readonly hash: Uint8Array;
  /** The authority; a threshold of its keys signed it. */
  readonly signers: FleetSigners;
  readonly #proof = true;

  constructor(key: typeof proofKey, header: FleetHeader, signed: Uint8Array, signers: FleetSigners) {
    if (key !== proofKey) throw new TypeError('a VerifiedHeader is made by verifyHeader only');
    this.header = header;
    this.signed = signed;
    this.signers = signers;
    this.hash = headerHash(header);
    Object.freeze(this);
  }

  /** Whether it is the same manifest; the signatures may differ. */
  isSameAs(other: VerifiedHeader): boolean {
    return this.#proof && equalBytes(this.hash, other.hash);
  }
}

/** Who must have signed, for which network. */
export interface HeaderRules {
  /** Hash of block 0, 32 bytes. */
  readonly network: Uint8Array;
  readonly signers: FleetSigners;
  /** Lower serials are refused. */
  readonly minimumSerial: number;
}

/**
 * Verifies a signed header: layout, network, authority, serial, signatures.
 * @throws EvidenceError FLEET_HEADER_MALFORMED, FLEET_SIGNATURE_INVALID, FLEET_SIGNATURES_TOO_FEW; RefusalError
 *   FLEET_NETWORK_OTHER, FLEET_AUTHORITY_OTHER, FLEET_SERIAL_TOO_LOW.
 */
export function verifyHeader(signed: Uint8Array, rules: HeaderRules): VerifiedHeader {
  const { header, signatures } = decodeSignedHeader(signed);
  requireNetwork(header, rules.network);
  requireAuthority(header, rules.signers);
  requireSignatures(header, signatures, rules.signers);
  if (header.serial < rules.minimumSerial) throw tooLow(header.serial, rules.minimumSerial);
  const { id, threshold, keys } = rules.signers;
  return new VerifiedHeader(proofKey, header, new Uint8Array(signed), { id, threshold, keys });
}

function requireNetwork({ network }: FleetHeader, expected: Uint8Array): void {
  if (equalBytes(network, expected)) return;
  throw new RefusalError('FLEET_NETWORK_OTHER', 'the fleet manifest is for another network', {
    field: 'network',
    expected: toPrefixedHex(expected),
    observed: toPrefixedHex(network),
  });
}

function requireAuthority({ authorityId }: FleetHeader, { id }: FleetSigners): void {
  const observed = toPrefixedHex(authorityId);
  if (observed === id) return;
  throw new RefusalError('FLEET_AUTHORITY_OTHER', 'the fleet manifest is by another authority', {
    field: 'authorityId',
    expected: id,
    observed,
    hint: 'a new authority needs a trust section that names it, or the handover of the former one',
  });
}

/**
 * Signatures by other keys are ignored: while an authority changes its keys, a manifest carries those of both sets.
 * The header has no key twice, so each one counts once.
 */
function requireSignatures(
  header: FleetHeader,
  signatures: readonly HeaderSignature[],
  { keys, threshold }: FleetSigners,
): void {
  const message = signingInput(encodeHeader(header));
  const own = signatures.filter(({ key }) => keys.includes(toPrefixedHex(key)));
  const wrong = own.find(({ key, signature }) => !ed25519Verify(message, signature, key));
  if (wrong !== undefined) {
    throw new EvidenceError('FLEET_SIGNATURE_INVALID', 'a signature of the fleet manifest is wrong', {
      field: `signature of key 0x${toHex(wrong.key)}`,
      hint: 'it was made for another manifest, or the file was altered',
    });
  }
  if (own.length >= threshold) return;
  throw new EvidenceError('FLEET_SIGNATURES_TOO_FEW', 'too few keys signed the fleet manifest', {
    field: 'signatures',
    expected: `${threshold} of the ${keys.length} keys of the authority`,
    observed: `${own.length}`,
  });
}

const tooLow = (serial: number, least: number): RefusalError =>
  new RefusalError('FLEET_SERIAL_TOO_LOW', `fleet manifest ${serial} is older than this section permits`, {
    field: 'serial',
    expected: `at least ${least}`,
    observed: `${serial}`,
  });
