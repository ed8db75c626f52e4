import { z } from 'zod';
import { sha256 } from '../crypto/sha2.ts';
import { MAX_AUTHORITY_KEYS, successorSchema } from '../trust/fleet-authority.ts';
import {
  accountText,
  ascending,
  canonicalBytes,
  type DocumentKind,
  exactHex,
  malformed,
  readExact,
  shortText,
  timeMs,
} from './canonical-json.ts';
import { type FleetHeader, LAST_SERIAL } from './fleet-header.ts';

/** Longest body. */
export const MAX_BODY_BYTES = 512 * 1024;

/**
 * `since`: when it first stood in a manifest; a node that starts counts the delay from it. `until`: judged by a fresh
 * block of the chain only.
 */
const validity = { since: timeMs, until: timeMs.optional() };

const trustHash = z.strictObject({ hash: exactHex(48), ...validity });
const measurement = z.strictObject({ id: exactHex(32), ...validity });
const move = z.strictObject({ account: accountText, from: exactHex(32), to: exactHex(32) });

/**
 * Whether no move leads an account back to a platform that it leaves. With a finished move still in the list, the way
 * back would give the keys to either machine.
 */
function leaveForGood(moves: readonly z.output<typeof move>[]): boolean {
  const left = new Set(moves.map(({ account, from }) => `${account} ${from}`));
  return moves.every(({ account, to }) => !left.has(`${account} ${to}`));
}

/** What is accepted in the fleet. */
const rulesSchema = z.strictObject({
  kind: z.literal('rules'),
  version: z.literal(1),
  /** Trust sections that peers may run under, in addition to the own one. */
  trustHashes: ascending(trustHash, 64, ({ hash }) => hash),
  /** Images, in addition to those of the measurement policy. */
  measurements: ascending(measurement, 256, ({ id }) => id),
  /** Older TCB info is refused. */
  minimumTcbEvaluationDataNumber: z.int().nonnegative().optional(),
  /** Hashes of two documents: {@link PlatformList}. */
  platforms: z.strictObject({ endorsed: exactHex(32).optional(), revoked: exactHex(32).optional() }),
  /** The keys of an account may be recovered on platform `to` while they are bound to `from`; SHA-256(PPID). */
  moves: ascending(move, 1024, ({ account, from }) => `${account} ${from}`).refine(
    leaveForGood,
    'must not lead to a platform that another move of the account leaves: take a finished move out',
  ),
  /** Every node makes a new store key and a new generation. Each id asks once. */
  rekey: z.strictObject({ id: exactHex(16), reason: shortText }).optional(),
  /**
   * Ed25519 keys: nodes keep their signatures and hand them on with those of their own authority: while an authority changes
   * its keys, those of both sets.
   */
  signers: ascending(exactHex(32), MAX_AUTHORITY_KEYS, (key) => key).optional(),
});

/** The last manifest of an authority: who signs the next ones. It changes nothing else. */
const handoverSchema = z.strictObject({
  kind: z.literal('handover'),
  version: z.literal(1),
  successor: successorSchema,
});

/** What a manifest accepts. Hex is lower case with `0x`, accounts are SS58, times are milliseconds. */
export type FleetRules = z.output<typeof rulesSchema>;
/** Who follows an authority. */
export type FleetHandover = z.output<typeof handoverSchema>;
/** The content of a manifest. */
export type FleetBody = FleetRules | FleetHandover;

const bodyKind: DocumentKind<FleetBody> = {
  name: 'fleet body',
  schema: z.discriminatedUnion('kind', [rulesSchema, handoverSchema]),
  maxBytes: MAX_BODY_BYTES,
};

/** Nothing in addition to what the trust section itself accepts. */
export const emptyRules: FleetRules = {
  kind: 'rules',
  version: 1,
  trustHashes: [],
  measurements: [],
  platforms: {},
  moves: [],
};

/**
 * The exact bytes of a body.
 * @throws EvidenceError FLEET_BODY_MALFORMED naming the place, because no reader would accept them.
 */
export function encodeBody(body: FleetBody): Uint8Array {
  const bytes = canonicalBytes(body);
  readExact(bytes, sha256(bytes), bodyKind);
  return bytes;
}

/**
 * Reads the exact bytes of a body that a header names.
 * @throws EvidenceError FLEET_BODY_MISMATCH, FLEET_BODY_MALFORMED.
 */
export function readBody(bytes: Uint8Array, { bodyHash, issuedAtMs, serial }: FleetHeader): FleetBody {
  const body = readExact(bytes, bodyHash, bodyKind);
  // The header alone shows a handover: it stands outside the order of serials.
  if ((body.kind === 'handover') !== (serial === LAST_SERIAL))
    throw malformed(
      bodyKind.name,
      'kind',
      'handover where the serial is 2^53 - 1, and rules elsewhere',
      body.kind,
    );
  if (body.kind === 'rules') requirePast(body, issuedAtMs);
  return body;
}

/** What first stands in a manifest cannot have stood in one before that manifest was issued. */
function requirePast({ trustHashes, measurements }: FleetRules, issuedAtMs: number): void {
  const late = [...trustHashes, ...measurements].find(({ since }) => since > issuedAtMs);
  if (late === undefined) return;
  throw malformed(bodyKind.name, 'since', `at most issuedAtMs = ${issuedAtMs}`, `${late.since}`);
}
