import { concatBytes } from '../../bytes/concat.ts';
import { readU64BigEndian, u64BigEndian } from '../../bytes/integers.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { Registry } from '../../ring/members/registry.ts';

/**
 * What is in a message of the channel: a request or answer of the ring, a question for registries or its answer, or (as
 * an answer) the code of a refusal.
 */
const kinds = ['ring', 'registries', 'refused'] as const;
export type EnvelopeKind = (typeof kinds)[number];

/** The content of a channel message. */
export interface Envelope {
  readonly kind: EnvelopeKind;
  /** Block and digest of the newest registry that the sender knows. */
  readonly newest: Pick<Registry, 'block' | 'digest'>;
  readonly payload: Uint8Array;
}

const DIGEST_AT = 9;
const PAYLOAD_AT = DIGEST_AT + 32;

/** U8 kind (0 ring, 1 registries, 2 refused) ‖ u64 block ‖ digest (32) ‖ payload. */
export const sealEnvelope = ({ kind, newest, payload }: Envelope): Uint8Array =>
  concatBytes(Uint8Array.of(kinds.indexOf(kind)), u64BigEndian(newest.block), newest.digest, payload);

/** Reads what {@link sealEnvelope} made. @throws EvidenceError FIELD_INVALID. */
export function openEnvelope(bytes: Uint8Array): Envelope {
  const kind = kinds[bytes[0] ?? -1];
  const block = bytes.length < PAYLOAD_AT ? -1n : readU64BigEndian(bytes, 1);
  if (kind === undefined || block < 0n || block > BigInt(Number.MAX_SAFE_INTEGER))
    throw new EvidenceError('FIELD_INVALID', 'the message is no envelope of the ring', {
      field: 'envelope',
      expected: `kind 0 to ${kinds.length - 1}, block, digest, payload`,
      observed: `${bytes.length} bytes, kind ${bytes[0]}`,
    });
  const digest = bytes.subarray(DIGEST_AT, PAYLOAD_AT);
  return { kind, newest: { block: Number(block), digest }, payload: bytes.subarray(PAYLOAD_AT) };
}
