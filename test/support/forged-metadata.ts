import { encodeMetadata, type PalletDescription } from '../../devnet/chain/metadata-encoding.ts';
import { describeRuntime } from '../../devnet/chain/runtime.ts';
import type { Fields, TypeId, TypeTable } from '../../devnet/chain/type-registry.ts';

/** Adds types to the runtime's and says which more fields a ServerInfo has. */
export type Forgery = (types: TypeTable, known: { readonly u8: TypeId }) => Fields;

/** The honest fields of a ServerInfo. The type table gives the same ids again for the same types. */
function honestFields(types: TypeTable): Fields {
  const bytes32 = types.array(32, types.primitive('u8'));
  const bytes = types.sequence(types.primitive('u8'));
  return {
    tss_account: types.wrapper(['sp_core', 'crypto', 'AccountId32'], [bytes32]),
    x25519_public_key: bytes32,
    endpoint: bytes,
    tdx_quote: bytes,
  };
}

/** Entropy's metadata with more fields in ServerInfo; a field with the name of an honest field replaces it. */
export function forgedMetadata(forgery: Forgery): Uint8Array {
  const runtime = describeRuntime('entropy-500');
  const { types } = runtime;
  const fields = { ...honestFields(types), ...forgery(types, { u8: types.primitive('u8') }) };
  const value = types.struct(['pallet_staking_extension', 'pallet', 'ForgedServerInfo'], fields);
  const withServerInfo = (pallet: PalletDescription): PalletDescription => ({
    ...pallet,
    storage: pallet.storage.map((item) => (item.name === 'ThresholdServers' ? { ...item, value } : item)),
  });
  return encodeMetadata({ ...runtime, pallets: runtime.pallets.map(withServerInfo) }, 14);
}

/** The index that the next new type gets. */
const nextOf = (types: TypeTable): TypeId => types.array(0xff_00_00, types.primitive('u8')) + 1;

/** Each level holds two of the one below: as text, or as values, there are 2^height. */
export function towerOf(types: TypeTable, height: number, bottom: TypeId): TypeId {
  let top = bottom;
  for (let level = 0; level < height; level += 1) top = types.tuple(top, top);
  return top;
}

/** Forgeries that take memory or time without end, or that the library was not made for. */
export const forgeries: Readonly<Record<string, Forgery>> = {
  'an array of arrays of nothing': (types) => ({
    extra: types.array(2048, types.array(2048, types.array(2048, types.tuple()))),
    more: towerOf(types, 20, types.array(2048, types.tuple())),
  }),
  'a tower of tuples': (types, { u8 }) => ({ extra: towerOf(types, 40, u8) }),
  'a tower of structs': (types, { u8 }) => {
    let top = u8;
    for (let level = 0; level < 40; level += 1) {
      top = types.struct(['a', `L${level}`], { left: top, right: top });
    }
    return { extra: top };
  },
  'a type within itself': (types) => {
    const self = nextOf(types);
    return { extra: types.tuple(self, self) };
  },
  'a long chain of types': (types, { u8 }) => {
    let top = u8;
    for (let level = 0; level < 50_000; level += 1) top = types.tuple(top);
    return { extra: top };
  },
  'as many fields as fit into it': (types, { u8 }) => {
    for (let count = 1; count < 40_000; count += 1) {
      types.variant([], [[`v${count}`, ...Array.from({ length: 30 }, () => u8)]]);
    }
    return {};
  },
  "the library's names for other types": (types, { u8 }) => ({
    extra: types.wrapper(['bounded_collections', 'bounded_vec', 'BoundedVec'], []),
    more: types.wrapper(['BTreeMap'], [u8]),
    option: types.variant(['Option'], []),
    tss_account: types.variant(['sp_core', 'crypto', 'AccountId32'], [['x', towerOf(types, 30, u8)]]),
  }),
};
