import { compareBytes, concatBytes, equalBytes, utf8 } from '../../bytes/concat.ts';
import { AccountId, type BlockHash } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { placeMember } from '../placement/member.ts';
import { Placement } from '../placement/placement.ts';
import type { RingView } from '../placement/views.ts';

/** A registered server, as the ring knows it at a boundary. */
export interface RegisteredServer {
  readonly account: AccountId;
  readonly stash: AccountId;
  /** SHA-256 of X25519 key ‖ registered quote: what was judged. 32 bytes. */
  readonly evidence: Uint8Array;
  /** PPID of the platform that the quote proves for account and key, hex; empty when it proves none. */
  readonly platform: string;
  /** Hash of the boundary at which it became a member; `undefined` while it is none. */
  readonly anchor: BlockHash | undefined;
}

/** All registered servers at one boundary; the same at every node that computes it. */
export interface Registry {
  /** The block of the boundary. */
  readonly block: number;
  /** Time of the block, in milliseconds. */
  readonly timestampMs: number;
  /** In the order of their accounts. */
  readonly servers: readonly RegisteredServer[];
  /** SHA-256 over all of it and the digest of the registry before it, 32 bytes. */
  readonly digest: Uint8Array;
}

/** The constants of a ring; a part of the measured trust section, the same at all members. */
export interface RingConstants {
  /** The ring begins here, without members. */
  readonly firstBlock: number;
  /** A boundary is each block with the number `firstBlock` plus a multiple of this. */
  readonly everyBlocks: number;
  /** k. */
  readonly replicas: number;
}

const LABEL = utf8('latchkey/v1/ring/registry');

/** PPID (hex) that a record's quote proves at a time; `undefined` when it proves none. */
export type PlatformProof = (record: ServerRecord, atMs: number) => string | undefined;

/** What stands before the first registry: SHA-256("latchkey/v1/ring/registry" ‖ u64 each of the constants), 32 bytes. */
export const constantsDigest = ({ firstBlock, everyBlocks, replicas }: RingConstants): Uint8Array =>
  sha256(LABEL, ...[firstBlock, everyBlocks, replicas].map((constant) => u64BigEndian(constant)));

/** The empty registry with which a ring begins. */
export function firstRegistry(constants: RingConstants): Registry {
  const content = { block: constants.firstBlock, timestampMs: 0, servers: [] };
  return { ...content, digest: registryDigest(constantsDigest(constants), content) };
}

/**
 * The registry of the boundary after `previous`.
 *
 * A server becomes a member at the first boundary after the one that showed it, and is anchored by that boundary's hash:
 * it was registered before the block existed. It stays anchored as long as each boundary shows it with a quote that
 * proves its platform.
 * @param boundary the proven snapshot of exactly that block.
 * @returns `previous` itself with another block when nothing has changed: its digest stays.
 * @throws ProblemError CHAIN_SHAPE_UNKNOWN when the block has no time.
 */
export function followRegistry(
  previous: Registry,
  { block: { number, hash, timestampMs }, servers: records }: ChainSnapshot,
  provenPlatform: PlatformProof,
): Registry {
  if (timestampMs === undefined)
    throw new ProblemError('CHAIN_SHAPE_UNKNOWN', `block ${number} has no time`, { field: 'Timestamp.Now' });
  const before = new Map(previous.servers.map((server) => [toHex(server.account), server]));
  const servers = records
    .map((record) =>
      follow(before.get(toHex(record.account)), record, hash, (at) => provenPlatform(at, timestampMs)),
    )
    .sort((a, b) => compareBytes(a.account, b.account));
  if (sameServers(previous.servers, servers)) return previous;
  const content = { block: number, timestampMs, servers };
  return { ...content, digest: registryDigest(previous.digest, content) };
}

function follow(
  known: RegisteredServer | undefined,
  record: ServerRecord,
  boundary: BlockHash,
  provenPlatform: (record: ServerRecord) => string | undefined,
): RegisteredServer {
  const evidence = sha256(record.x25519PublicKey, record.quote);
  const isJudged = known !== undefined && equalBytes(known.evidence, evidence);
  const platform = isJudged ? known.platform : (provenPlatform(record) ?? '');
  const anchor = known === undefined || platform === '' ? undefined : (known.anchor ?? boundary);
  return {
    account: AccountId.of(record.account),
    stash: AccountId.of(record.stash),
    evidence,
    platform,
    anchor,
  };
}

const encoded = ({ account, stash, evidence, platform, anchor }: RegisteredServer): Uint8Array =>
  concatBytes(account, stash, evidence, sha256(utf8(platform)), anchor ?? new Uint8Array(32));

const sameServers = (a: readonly RegisteredServer[], b: readonly RegisteredServer[]): boolean =>
  a.length === b.length && a.every((one, at) => isSame(one, b[at]));

const isSame = (a: RegisteredServer, b: RegisteredServer | undefined): boolean =>
  b !== undefined && equalBytes(encoded(a), encoded(b));

/**
 * SHA-256("latchkey/v1/ring/registry" ‖ digest of the registry before ‖ u64 block ‖ u64 time ‖ of each server: account ‖
 * stash ‖ evidence ‖ SHA-256(platform) ‖ anchor, zeros for none).
 */
export const registryDigest = (
  before: Uint8Array,
  { block, timestampMs, servers }: Omit<Registry, 'digest'>,
): Uint8Array =>
  sha256(LABEL, before, u64BigEndian(block), u64BigEndian(timestampMs), ...servers.map(encoded));

/** The members of a registry, for the ring. */
export function viewOf({ block, timestampMs, servers }: Registry, { replicas }: RingConstants): RingView {
  const members = servers.flatMap(({ account, stash, platform, anchor }) =>
    anchor === undefined ? [] : [placeMember({ account, stash, platform, anchor })],
  );
  return { block, timestampMs, placement: new Placement(members, replicas) };
}
