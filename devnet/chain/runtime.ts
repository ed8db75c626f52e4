import { concatBytes } from '../../src/bytes/concat.ts';
import type { PalletDescription, RuntimeDescription } from './metadata-encoding.ts';
import { compact, u8, u16, u32, u64, vec } from './scale.ts';
import { type TypeId, TypeTable } from './type-registry.ts';

/**
 * Forms in which Entropy's runtime has stored its servers, and one that does not exist yet:
 * `entropy-500` is the present form (v0.5.0-rc.1; unreleased code had it under spec version 400 already). `entropy-400`
 * (v0.4.0) and `entropy-300` (v0.3.0) are older forms without quotes. `reordered` has the present fields in another order
 * and one more, as a future upgrade might.
 */
export type RuntimeShape = 'entropy-500' | 'entropy-400' | 'entropy-300' | 'reordered';

/** SS58 prefix of generic Substrate accounts, which Entropy uses. */
const SS58_PREFIX = 42;
const BLOCK_HASH_COUNT = 2400;

interface CommonTypes {
  readonly u8: TypeId;
  readonly u32: TypeId;
  readonly u64: TypeId;
  readonly u128: TypeId;
  readonly bytes: TypeId;
  readonly bytes32: TypeId;
  readonly hash: TypeId;
  readonly account: TypeId;
  readonly accounts: TypeId;
}

function commonTypes(types: TypeTable): CommonTypes {
  const byte = types.primitive('u8');
  // @polkadot/api wants the lookup of u16 even where nothing uses it.
  types.primitive('u16');
  const bytes32 = types.array(32, byte);
  const account = types.wrapper(['sp_core', 'crypto', 'AccountId32'], [bytes32]);
  return {
    u8: byte,
    u32: types.primitive('u32'),
    u64: types.primitive('u64'),
    u128: types.primitive('u128'),
    bytes: types.sequence(byte),
    bytes32,
    hash: types.wrapper(['primitive_types', 'H256'], [bytes32]),
    account,
    accounts: types.sequence(account),
  };
}

const boundedVec = (types: TypeTable, item: TypeId): TypeId =>
  types.wrapper(['bounded_collections', 'bounded_vec', 'BoundedVec'], [types.sequence(item)], { T: item });

function serverInfo(types: TypeTable, common: CommonTypes, shape: RuntimeShape): TypeId {
  const path = ['pallet_staking_extension', 'pallet', 'ServerInfo'];
  const { account, bytes, bytes32 } = common;
  switch (shape) {
    case 'entropy-500':
      return types.struct(
        path,
        { tss_account: account, x25519_public_key: bytes32, endpoint: bytes, tdx_quote: bytes },
        { AccountId: account },
      );
    case 'entropy-400':
    case 'entropy-300':
      return types.struct(
        path,
        {
          tss_account: account,
          x25519_public_key: bytes32,
          endpoint: bytes,
          provisioning_certification_key: boundedVec(types, common.u8),
        },
        { AccountId: account },
      );
    case 'reordered':
      return types.struct(
        path,
        {
          version: common.u32,
          endpoint: bytes,
          tdx_quote: bytes,
          x25519_public_key: bytes32,
          tss_account: account,
        },
        { AccountId: account },
      );
  }
}

function systemPallet(types: TypeTable, common: CommonTypes, event: TypeId): PalletDescription {
  const phase = types.variant(
    ['frame_system', 'Phase'],
    [['ApplyExtrinsic', common.u32], ['Finalization'], ['Initialization']],
  );
  const eventRecord = types.struct(
    ['frame_system', 'EventRecord'],
    { phase, event, topics: types.sequence(common.hash) },
    { E: event, T: common.hash },
  );
  const { u32: word, u128: balance } = common;
  const lastUpgrade = types.struct(['frame_system', 'LastRuntimeUpgradeInfo'], {
    spec_version: types.compact(word),
    spec_name: types.primitive('str'),
  });
  const accountData = types.struct(['pallet_balances', 'types', 'AccountData'], {
    free: balance,
    reserved: balance,
    frozen: balance,
    flags: balance,
  });
  const accountInfo = types.struct(
    ['frame_system', 'AccountInfo'],
    { nonce: word, consumers: word, providers: word, sufficients: word, data: accountData },
    { Nonce: word, AccountData: accountData },
  );
  return {
    name: 'System',
    index: 0,
    storage: [
      { name: 'Account', key: common.account, value: accountInfo, fallback: new Uint8Array(80) },
      { name: 'Number', value: word, fallback: u32(0) },
      { name: 'ParentHash', value: common.hash, fallback: new Uint8Array(32) },
      { name: 'Events', value: types.sequence(eventRecord), fallback: vec([]) },
      { name: 'LastRuntimeUpgrade', value: lastUpgrade },
    ],
    events: types.variant(['frame_system', 'pallet', 'Event'], [['CodeUpdated']]),
    constants: [
      { name: 'BlockHashCount', type: word, value: u32(BLOCK_HASH_COUNT) },
      { name: 'SS58Prefix', type: types.primitive('u16'), value: u16(SS58_PREFIX) },
    ],
  };
}

function stakingPallet(types: TypeTable, common: CommonTypes, shape: RuntimeShape): PalletDescription {
  const { account, accounts } = common;
  const nextSigners = types.struct(['pallet_staking_extension', 'pallet', 'NextSignerInfo'], {
    next_signers: accounts,
    confirmations: accounts,
  });
  const status = types.variant(
    ['pallet_staking_extension', 'pallet', 'JumpStartStatus'],
    [['Ready'], ['InProgress', common.u32], ['Done']],
  );
  const jumpStart = types.struct(['pallet_staking_extension', 'pallet', 'JumpStartDetails'], {
    jump_start_status: status,
    confirmations: accounts,
    verifying_key: types.option(boundedVec(types, common.u8)),
    parent_key_threshold: common.u8,
  });
  return {
    name: 'StakingExtension',
    index: 2,
    storage: [
      { name: 'ThresholdServers', key: account, value: serverInfo(types, common, shape) },
      { name: 'ThresholdToStash', key: account, value: account },
      { name: 'Signers', value: accounts, fallback: compact(0) },
      { name: 'NextSigners', value: nextSigners },
      { name: 'JumpStartProgress', value: jumpStart, fallback: new Uint8Array(4) },
    ],
  };
}

function parametersPallet(types: TypeTable, common: CommonTypes, shape: RuntimeShape): PalletDescription {
  const measurements = types.sequence(boundedVec(types, common.u8));
  const service = types.variant(
    ['entropy_shared', 'types', 'SupportedCvmServices'],
    [['EntropyTss'], ['TreeService']],
  );
  const signersSize = types.struct(['pallet_parameters', 'SignersSize'], {
    threshold: common.u8,
    total_signers: common.u8,
    last_session_change: common.u32,
  });
  const plain = { value: measurements, fallback: compact(0) };
  const accepted = {
    'entropy-300': { name: 'AcceptedMrtdValues', ...plain },
    'entropy-400': { name: 'AcceptedMeasurementValues', ...plain },
    'entropy-500': { name: 'AcceptedMeasurementValues', key: service, value: measurements },
    reordered: { name: 'AcceptedMeasurementValues', key: service, value: measurements },
  }[shape];
  return {
    name: 'Parameters',
    index: 4,
    storage: [{ name: 'SignersInfo', value: signersSize, fallback: new Uint8Array(6) }, accepted],
  };
}

function grandpaPallet(types: TypeTable, common: CommonTypes): PalletDescription {
  const id = types.wrapper(['sp_consensus_grandpa', 'app', 'Public'], [common.bytes32]);
  const authorities = types.sequence(types.tuple(id, common.u64));
  return {
    name: 'Grandpa',
    index: 7,
    storage: [
      { name: 'CurrentSetId', value: common.u64, fallback: u64(0) },
      { name: 'Authorities', value: authorities, fallback: compact(0) },
    ],
  };
}

function otherPallets(types: TypeTable, common: CommonTypes): PalletDescription[] {
  const { account, accounts, bytes, bytes32 } = common;
  const forestServerInfo = types.struct(['pallet_forest', 'module', 'ForestServerInfo'], {
    x25519_public_key: bytes32,
    endpoint: bytes,
    tdx_quote: bytes,
  });
  return [
    { name: 'Timestamp', index: 1, storage: [{ name: 'Now', value: common.u64, fallback: u64(0) }] },
    {
      name: 'Session',
      index: 3,
      storage: [
        { name: 'Validators', value: accounts, fallback: compact(0) },
        { name: 'CurrentIndex', value: common.u32, fallback: u32(0) },
      ],
    },
    {
      name: 'Attestation',
      index: 5,
      storage: [
        { name: 'PendingAttestations', key: account, value: bytes32 },
        { name: 'AttestationRequests', key: common.u32, value: types.sequence(bytes) },
      ],
    },
    { name: 'Forest', index: 6, storage: [{ name: 'Trees', key: account, value: forestServerInfo }] },
  ];
}

/** Describes the runtime: Entropy's storage items that matter here, and the little that @polkadot/api insists on. */
export function describeRuntime(shape: RuntimeShape): RuntimeDescription {
  const types = new TypeTable();
  const common = commonTypes(types);
  const systemEvent = types.variant(['frame_system', 'pallet', 'Event'], [['CodeUpdated']]);
  const event = types.variant(['entropy_runtime', 'RuntimeEvent'], [['System', systemEvent]]);
  const systemCall = types.variant(['frame_system', 'pallet', 'Call'], [['remark', common.bytes]]);
  const call = types.variant(['entropy_runtime', 'RuntimeCall'], [['System', systemCall]]);
  const error = types.variant(['entropy_runtime', 'RuntimeError'], []);
  const nothing = types.tuple();
  const address = types.variant(
    ['sp_runtime', 'multiaddress', 'MultiAddress'],
    [
      ['Id', common.account],
      ['Index', types.compact(nothing)],
      ['Raw', common.bytes],
    ],
    { AccountId: common.account, AccountIndex: nothing },
  );
  const bytes64 = types.array(64, common.u8);
  const signature = types.variant(
    ['sp_runtime', 'MultiSignature'],
    [
      ['Ed25519', bytes64],
      ['Sr25519', bytes64],
    ],
  );
  const whole = types.wrapper(
    ['sp_runtime', 'generic', 'unchecked_extrinsic', 'UncheckedExtrinsic'],
    [common.bytes],
    { Address: address, Call: call, Signature: signature, Extra: nothing },
  );
  const pallets = [
    { ...systemPallet(types, common, event), calls: systemCall },
    stakingPallet(types, common, shape),
    parametersPallet(types, common, shape),
    ...otherPallets(types, common),
    grandpaPallet(types, common),
  ].sort((a, b) => a.index - b.index);
  return {
    types,
    pallets,
    runtime: types.wrapper(['entropy_runtime', 'Runtime'], []),
    extrinsic: { whole, address, call, signature, extra: nothing },
    event,
    error,
  };
}

/** What an operator registers, in bytes. */
export interface ServerInfoFields {
  readonly account: Uint8Array;
  readonly x25519PublicKey: Uint8Array;
  readonly endpoint: Uint8Array;
  readonly quote: Uint8Array;
}

/** SCALE of a server's record as the runtime of this shape stores it. */
export function encodeServerInfo(shape: RuntimeShape, server: ServerInfoFields): Uint8Array {
  const endpoint = concatBytes(compact(server.endpoint.length), server.endpoint);
  const quote = concatBytes(compact(server.quote.length), server.quote);
  switch (shape) {
    case 'entropy-500':
      return concatBytes(server.account, server.x25519PublicKey, endpoint, quote);
    case 'entropy-400':
    case 'entropy-300':
      // The provisioning certification key, a compressed P-256 point; the key server does not read it.
      return concatBytes(server.account, server.x25519PublicKey, endpoint, compact(33), new Uint8Array(33));
    case 'reordered':
      return concatBytes(u32(1), endpoint, quote, server.x25519PublicKey, server.account);
  }
}

/** SCALE of SupportedCvmServices::EntropyTss, the key of the accepted measurements. */
export const ENTROPY_TSS = u8(0);
