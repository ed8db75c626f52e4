import { utf8 } from '../../src/bytes/concat.ts';
import type { AccountId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { mapKey, storageItems } from '../../src/chain/storage-keys.ts';
import { ENTROPY_TSS, encodeServerInfo, type RuntimeShape } from './runtime.ts';
import { byteVec, vec } from './scale.ts';

/** Longest endpoint that Entropy's runtime accepts (MaxEndpointLength). */
export const MAX_ENDPOINT_BYTES = 100;

/** What an operator registers for a threshold server. */
export interface ServerRegistration {
  readonly stash: AccountId;
  readonly account: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  /** `host:port`, at most 100 bytes. */
  readonly endpoint: string;
  readonly quote: Uint8Array;
}

/** The state of the chain in its own words; immutable, each change makes a new one. */
export interface ChainContent {
  readonly servers: ReadonlyMap<string, ServerRegistration>;
  /** Stashes of the active validators, `0x` hex. */
  readonly validators: readonly string[];
  /** Stashes of the signers, `0x` hex. */
  readonly signers: readonly string[];
  readonly acceptedMeasurements: readonly Uint8Array[];
  /** Raw storage that wins over everything else in a block's state; `null` removes a key. */
  readonly overrides: ReadonlyMap<string, string | null>;
  /** The runtime code after this block; the block itself was executed with the code of its parent. */
  readonly shape: RuntimeShape;
  readonly specVersion: number;
}

/** Raw storage: `0x` key to `0x` value. */
export type RawState = ReadonlyMap<string, string>;

/** ThresholdToStash, the way back from the server's account to its stash. */
const thresholdToStash = {
  pallet: 'StakingExtension',
  item: 'ThresholdToStash',
  prefix: '0xebdeae436e3f7a63d02b7bc7c9ee6fa0e3be67d15f3569a18fe030114220227e',
};

/** What v0.3.0 had in place of AcceptedMeasurementValues. */
const acceptedMrtdValues = {
  pallet: 'Parameters',
  item: 'AcceptedMrtdValues',
  prefix: '0xc63bdd4a39095ccf55623a6f2872bf8a43228dbe6e7118b471610a0cba60b36e',
};

function accounts(stashes: readonly string[]): string {
  return toPrefixedHex(vec(stashes.map((stash) => tryFromHex(stash) ?? new Uint8Array(0))));
}

const encoded = new WeakMap<ChainContent, Map<RuntimeShape, RawState>>();

/** Encodes the records as a runtime of this shape stores them; once, as most blocks change nothing. */
export function encodeContent(content: ChainContent, shape: RuntimeShape): RawState {
  const byShape = encoded.get(content) ?? new Map<RuntimeShape, RawState>();
  encoded.set(content, byShape);
  const state = byShape.get(shape) ?? encode(content, shape);
  byShape.set(shape, state);
  return state;
}

const encodedRecords = new WeakMap<ServerRegistration, Map<RuntimeShape, readonly [string, string][]>>();

/** Both entries of a server; once, as a change of one record leaves the others, with their quotes, as they are. */
function encodeRecord(server: ServerRegistration, shape: RuntimeShape): readonly [string, string][] {
  const byShape = encodedRecords.get(server) ?? new Map<RuntimeShape, readonly [string, string][]>();
  encodedRecords.set(server, byShape);
  const info = { ...server, endpoint: utf8(server.endpoint) };
  const entries: readonly [string, string][] = byShape.get(shape) ?? [
    [mapKey(storageItems.thresholdServers, server.stash), toPrefixedHex(encodeServerInfo(shape, info))],
    [mapKey(thresholdToStash, server.account), toPrefixedHex(server.stash)],
  ];
  byShape.set(shape, entries);
  return entries;
}

/** Where a runtime of this shape stores the accepted measurements. */
function measurementsKey(shape: RuntimeShape): string {
  switch (shape) {
    case 'entropy-300':
      return acceptedMrtdValues.prefix;
    case 'entropy-400':
      return storageItems.acceptedMeasurementValues.prefix;
    default:
      return mapKey(storageItems.acceptedMeasurementValues, ENTROPY_TSS);
  }
}

function encode(content: ChainContent, shape: RuntimeShape): RawState {
  const state = new Map<string, string>();
  for (const server of content.servers.values()) {
    for (const [key, value] of encodeRecord(server, shape)) state.set(key, value);
  }
  state.set(storageItems.validators.prefix, accounts(content.validators));
  state.set(storageItems.signers.prefix, accounts(content.signers));
  if (content.acceptedMeasurements.length > 0) {
    const values = vec(content.acceptedMeasurements.map(byteVec));
    state.set(measurementsKey(shape), toPrefixedHex(values));
  }
  return state;
}

const withMember = (list: readonly string[], stash: string, member: boolean): readonly string[] =>
  member === list.includes(stash)
    ? list
    : member
      ? [...list, stash]
      : list.filter((entry) => entry !== stash);

/** Registers or replaces a server; `active` and `signer` put its stash into or out of those sets. */
export function withServer(
  content: ChainContent,
  server: ServerRegistration,
  active: boolean,
  signer: boolean,
): ChainContent {
  if (utf8(server.endpoint).length > MAX_ENDPOINT_BYTES) {
    throw new RangeError(`EndpointTooLong: endpoint must be at most ${MAX_ENDPOINT_BYTES} bytes`);
  }
  const stash = toPrefixedHex(server.stash);
  return {
    ...content,
    servers: new Map(content.servers).set(stash, server),
    validators: withMember(content.validators, stash, active),
    signers: withMember(content.signers, stash, signer),
  };
}

/** Removes a server's record and its stash from both sets. */
export function withoutServer(content: ChainContent, stash: string): ChainContent {
  const servers = new Map(content.servers);
  servers.delete(stash);
  return {
    ...content,
    servers,
    validators: withMember(content.validators, stash, false),
    signers: withMember(content.signers, stash, false),
  };
}

/** Puts a stash into the active set or takes it out. */
export const withActive = (content: ChainContent, stash: string, active: boolean): ChainContent => ({
  ...content,
  validators: withMember(content.validators, stash, active),
});
