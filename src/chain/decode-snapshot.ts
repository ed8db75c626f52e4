import { compareBytes } from '../bytes/concat.ts';
import { AccountId, type BlockHash, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { ChainSnapshot, ServerRecord } from './chain-view.ts';
import { isServerEndpoint } from './endpoint.ts';
import type { RawFinalizedState } from './finalized-state.ts';
import type { RecordDecoders, ServerInfo } from './record-decoders.ts';
import { keyOfMapKey, type StorageItem, storageItems } from './storage-keys.ts';

/** Larger than any TDX quote with its certificate chain. */
const MAX_QUOTE_BYTES = 64 * 1024;
/** Header, TD report and the length of the signature of a TDX quote: shorter bytes are another field. */
const LEAST_QUOTE_BYTES = 48 + 584 + 4;
const MEASUREMENT_BYTES = 32;

/** Decodes a list of accounts on which security depends: unreadable is an error, not an empty list. */
function accountSet(shape: RecordDecoders, value: Uint8Array | undefined, name: string): ReadonlySet<string> {
  if (value === undefined) return new Set();
  try {
    return new Set(shape.accounts(value).map(toHex));
  } catch (cause) {
    const message = `${name} does not decode as the metadata says`;
    throw new ProblemError('CHAIN_SHAPE_UNKNOWN', message, { field: name, cause });
  }
}

/**
 * `all`: a record that does not decode fails the read, because it was proven, so the form must be another one.
 * `readable`: it is left out and counted, so that what one endpoint says of it does not hide the others.
 */
export type DecodeDemand = 'all' | 'readable';

/** @returns `undefined` for a record that does not decode or cannot be used. */
function serverRecord(
  shape: RecordDecoders,
  [storageKey, value]: readonly [string, Uint8Array],
  validators: ReadonlySet<string>,
  signers: ReadonlySet<string>,
  demand: DecodeDemand,
): ServerRecord | undefined {
  const stash = keyOfMapKey(storageItems.thresholdServers, storageKey, AccountId.byteLength);
  if (stash === undefined) return undefined;
  try {
    const info = serverInfo(shape, value, demand);
    const endpoint = Buffer.from(info.endpoint).toString('latin1');
    if (!isServerEndpoint(endpoint) || info.quote.length > MAX_QUOTE_BYTES) return undefined;
    return {
      stash: AccountId.of(stash),
      account: AccountId.of(info.account),
      x25519PublicKey: X25519PublicKey.of(info.x25519PublicKey),
      endpoint,
      quote: info.quote,
      active: validators.has(toHex(stash)),
      signer: signers.has(toHex(stash)),
    };
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    // One bad record must not hide the others; it is counted.
    return undefined;
  }
}

function serverInfo(shape: RecordDecoders, value: Uint8Array, demand: DecodeDemand): ServerInfo {
  try {
    const info = shape.serverInfo(value);
    if (demand === 'all' && info.quote.length < LEAST_QUOTE_BYTES)
      throw new RangeError(`a quote of ${info.quote.length} bytes`);
    return info;
  } catch (cause) {
    throw demand === 'readable' ? cause : unknownForm(storageItems.thresholdServers, cause);
  }
}

/** Proven bytes are what the chain stores; where they do not decode, their form is another one. */
function unknownForm({ pallet, item }: StorageItem, cause: unknown): ProblemError {
  return new ProblemError('CHAIN_SHAPE_UNKNOWN', `a proven value of ${pallet}.${item} does not decode`, {
    field: `${pallet}.${item}`,
    hint: 'The runtime stores it in a form that this release does not know: upgrade Latchkey.',
    cause,
  });
}

/** Active records first, then by stash, so that every reader resolves a doubly claimed account alike. */
const byClaim = (a: ServerRecord, b: ServerRecord): number =>
  Number(b.active) - Number(a.active) || compareBytes(a.stash, b.stash);

/** Keeps one record an account, sorted by account bytes: storage order is by hash, and so random. */
function oneRecordPerAccount(records: readonly ServerRecord[]): readonly ServerRecord[] {
  const byAccount = new Map<string, ServerRecord>();
  for (const record of [...records].sort(byClaim)) {
    const account = toHex(record.account);
    if (!byAccount.has(account)) byAccount.set(account, record);
  }
  return [...byAccount.values()].sort((a, b) => compareBytes(a.account, b.account));
}

function acceptedMeasurements(
  shape: RecordDecoders,
  value: Uint8Array | undefined,
  demand: DecodeDemand,
): { readonly values: readonly Uint8Array[]; readonly undecodable: number } {
  if (value === undefined) return { values: [], undecodable: 0 };
  try {
    const all = shape.measurements(value).map((bytes) => new Uint8Array(bytes));
    const values = all.filter((bytes) => bytes.length === MEASUREMENT_BYTES);
    return { values, undecodable: all.length - values.length };
  } catch (cause) {
    if (demand === 'all') throw unknownForm(storageItems.acceptedMeasurementValues, cause);
    // Accepting nothing is safe: a node's own measurement does not come from here.
    return { values: [], undecodable: 1 };
  }
}

function timestamp(shape: RecordDecoders, value: Uint8Array | undefined): number | undefined {
  try {
    return value === undefined ? undefined : shape.timestampMs(value);
  } catch {
    return undefined;
  }
}

/**
 * Turns raw storage of one block into a snapshot.
 * @throws ProblemError CHAIN_SHAPE_UNKNOWN when validators or signers do not decode, or what `demand` demands.
 */
export function decodeSnapshot(
  genesisHash: BlockHash,
  block: { readonly number: number; readonly hash: BlockHash },
  shape: RecordDecoders,
  state: RawFinalizedState,
  demand: DecodeDemand = 'readable',
): ChainSnapshot {
  const validators = accountSet(shape, state.validators, 'Session.Validators');
  const signers = accountSet(shape, state.signers, 'StakingExtension.Signers');
  const records = state.thresholdServers
    .map((entry) => serverRecord(shape, entry, validators, signers, demand))
    .filter((record) => record !== undefined);
  const servers = oneRecordPerAccount(records);
  const measurements = acceptedMeasurements(shape, state.acceptedMeasurements, demand);
  return {
    genesisHash,
    block: {
      number: block.number,
      hash: block.hash,
      timestampMs: timestamp(shape, state.now),
    },
    servers,
    undecodableRecords: state.thresholdServers.length - servers.length + measurements.undecodable,
    acceptedMeasurements: measurements.values,
  };
}
