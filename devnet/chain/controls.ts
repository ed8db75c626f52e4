import type { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import {
  type ChainContent,
  type ServerRegistration,
  withActive,
  withoutServer,
  withServer,
} from './content.ts';
import { authorityIds } from './grandpa/authorities.ts';
import type { Rotation } from './grandpa/rotation.ts';
import type { JsonRpcServer } from './json-rpc-server.ts';
import type { Ledger } from './ledger.ts';
import type { Lie, Lies } from './lies/lies.ts';
import type { RuntimeShape } from './runtime.ts';

/** A registration, and whether its stash joins the active validators (default yes) and the signers (default no). */
export interface RegisterServer extends ServerRegistration {
  readonly active?: boolean;
  readonly signer?: boolean;
}

/** A head, by number and `0x` hash. */
export interface Head {
  readonly number: number;
  readonly hash: string;
}

/** What a client may begin with: the form of `trust.chain.checkpoint`, hex in lower case with `0x`. */
export interface Checkpoint {
  readonly blockNumber: number;
  readonly blockHash: string;
  /** The set that finalizes the block behind this one. */
  readonly authoritySetId: number;
  /** Public keys of its members, sorted. */
  readonly authorities: readonly string[];
}

/** Everything that a developer can do to the chain. Changes return the number of the block that will hold them. */
export interface DevelopmentControls {
  /** Adds or replaces the record of `stash`; on replacing, absent flags leave both sets as they are. */
  registerServer(server: RegisterServer): number;
  removeServer(stash: AccountId): number;
  setActive(stash: AccountId, active: boolean): number;
  setSigners(stashes: readonly AccountId[]): number;
  setAcceptedMeasurements(measurements: readonly Uint8Array[]): number;
  /** Raw storage that wins over everything else; `null` removes a key. */
  setStorage(items: readonly (readonly [key: string, value: string | null])[]): number;
  /** Changes the form of the records, by default raising the version by one; records are migrated one block later. */
  upgradeRuntime(shape: RuntimeShape, specVersion?: number): number;
  /** Announces another authority set; it takes over when that block, or the last of the delay, is final. */
  rotateAuthorities(rotation?: Rotation): number;
  /** The finalized head and the authorities of the blocks after it. */
  checkpoint(): Checkpoint;
  /** Sets the lies that all connections get from now on. */
  tell(...lies: readonly Lie[]): void;
  /** Makes blocks at once. @returns the best head. */
  newBlocks(count: number): Head;
  /** Abandons `depth` blocks that are not final, with what changed in them, and builds `depth` + 1 others. */
  reorganize(depth: number): Head;
  best(): Head;
  finalized(): Head;
  /** Cuts all connections once. */
  dropConnections(): number;
  /** While silent, nothing is answered. */
  setSilent(silent: boolean): void;
}

const headOf = ({ number, hash }: Head): Head => ({ number, hash });

function register(content: ChainContent, server: RegisterServer): ChainContent {
  const stash = toPrefixedHex(server.stash);
  const known = content.servers.has(stash);
  const active = server.active ?? (known ? content.validators.includes(stash) : true);
  const signer = server.signer ?? (known ? content.signers.includes(stash) : false);
  return withServer(content, server, active, signer);
}

const isHex = (text: string): boolean => text.startsWith('0x') && tryFromHex(text) !== undefined;

function overriding(
  content: ChainContent,
  items: readonly (readonly [string, string | null])[],
): ChainContent {
  const overrides = new Map(content.overrides);
  for (const [key, value] of items) {
    if (!isHex(key) || (value !== null && !isHex(value)))
      throw new RangeError('keys and values must be 0x hex');
    overrides.set(key.toLowerCase(), value);
  }
  return { ...content, overrides };
}

function checkpoint({ finalized, finality }: Ledger): Checkpoint {
  return {
    blockNumber: finalized.number,
    blockHash: finalized.hash,
    authoritySetId: finality.set.id,
    authorities: authorityIds(finality.set),
  };
}

/** The controls of one ledger, its lies, and its server. */
export function developmentControls(
  ledger: Ledger,
  lies: Lies,
  server: () => JsonRpcServer | undefined,
): DevelopmentControls {
  return {
    registerServer: (registration) => ledger.change((content) => register(content, registration)),
    removeServer: (stash) => ledger.change((content) => withoutServer(content, toPrefixedHex(stash))),
    setActive: (stash, active) =>
      ledger.change((content) => withActive(content, toPrefixedHex(stash), active)),
    setSigners: (stashes) =>
      ledger.change((content) => ({ ...content, signers: stashes.map(toPrefixedHex) })),
    setAcceptedMeasurements: (acceptedMeasurements) =>
      ledger.change((content) => ({ ...content, acceptedMeasurements })),
    setStorage: (items) => ledger.change((content) => overriding(content, items)),
    upgradeRuntime: (shape, specVersion) =>
      ledger.change((content) => ({
        ...content,
        shape,
        specVersion: specVersion ?? content.specVersion + 1,
      })),
    rotateAuthorities: (rotation = {}) => ledger.rotate(rotation),
    checkpoint: () => checkpoint(ledger),
    tell: (...told) => lies.tell(told),
    newBlocks(count) {
      if (count < 1 || count > 10_000) throw new RangeError(`count must be 1 to 10000, got ${count}`);
      for (let made = 0; made < count; made += 1) ledger.newBlock();
      return headOf(ledger.best);
    },
    reorganize: (depth) => headOf(ledger.reorganize(depth)),
    best: () => headOf(ledger.best),
    finalized: () => headOf(ledger.finalized),
    dropConnections: () => server()?.dropConnections() ?? 0,
    setSilent: (silent) => server()?.setSilent(silent),
  };
}
