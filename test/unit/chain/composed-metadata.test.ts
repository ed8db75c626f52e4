import { ApiPromise, WsProvider } from '@polkadot/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevelopmentChain, startDevelopmentChain } from '../../../devnet/chain/development-chain.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { mapKey, storageItems } from '../../../src/chain/storage-keys.ts';
import { eventually, register, serverRecord } from '../../support/chain-fixtures.ts';

/** Prefixes of Entropy's runtime (spec 400), as its own metadata gives them. */
const prefixes: Readonly<Record<string, string>> = {
  'stakingExtension.thresholdServers': '0xebdeae436e3f7a63d02b7bc7c9ee6fa008115f6b9e1cfdbb8d879cede7dd41df',
  'stakingExtension.thresholdToStash': '0xebdeae436e3f7a63d02b7bc7c9ee6fa0e3be67d15f3569a18fe030114220227e',
  'stakingExtension.signers': '0xebdeae436e3f7a63d02b7bc7c9ee6fa0828a071ac2a83edfa70c7722de26157e',
  'stakingExtension.nextSigners': '0xebdeae436e3f7a63d02b7bc7c9ee6fa05e420336ad5a683e148b7cc5714d7e53',
  'stakingExtension.jumpStartProgress': '0xebdeae436e3f7a63d02b7bc7c9ee6fa045d631dd0a0836e8b771443b36c464c5',
  'session.validators': '0xcec5070d609dd3497f72bde07fc96ba088dcde934c658227ee1dfafcd6e16903',
  'parameters.acceptedMeasurementValues':
    '0xc63bdd4a39095ccf55623a6f2872bf8a14252acfdfb8bc0a538add2626525346',
  'parameters.signersInfo': '0xc63bdd4a39095ccf55623a6f2872bf8a544b782f1175dc2264de071f7456fb01',
  'attestation.pendingAttestations': '0x6310fed47319b658f9b8b2504e0d72ec0d979aa56eb6883458aeef676046320c',
  'forest.trees': '0xb3623e9daaa769dcbfbc0c9a29d3c85db420443fc0b37a25c8ffd278988cd33d',
};

/** Modifier and value type of the same items. */
const forms: Readonly<Record<string, readonly [modifier: string, type: string]>> = {
  'stakingExtension.thresholdToStash': ['Optional', 'AccountId32'],
  'stakingExtension.signers': ['Default', 'Vec<AccountId32>'],
  'session.validators': ['Default', 'Vec<AccountId32>'],
  'parameters.acceptedMeasurementValues': ['Optional', 'Vec<Bytes>'],
  'attestation.pendingAttestations': ['Optional', '[u8;32]'],
  'attestation.attestationRequests': ['Optional', 'Vec<Bytes>'],
  'stakingExtension.thresholdServers': [
    'Optional',
    '{"tssAccount":"AccountId32","x25519PublicKey":"[u8;32]","endpoint":"Bytes","tdxQuote":"Bytes"}',
  ],
  'forest.trees': ['Optional', '{"x25519PublicKey":"[u8;32]","endpoint":"Bytes","tdxQuote":"Bytes"}'],
  'stakingExtension.nextSigners': [
    'Optional',
    '{"nextSigners":"Vec<AccountId32>","confirmations":"Vec<AccountId32>"}',
  ],
};

type ProviderOption = NonNullable<NonNullable<Parameters<typeof ApiPromise.create>[0]>['provider']>;

let chain: DevelopmentChain;
let api: ApiPromise;

beforeAll(async () => {
  chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1 });
  register(chain, 1, { signer: true });
  chain.setAcceptedMeasurements([new Uint8Array(32).fill(0xcd)]);
  chain.newBlocks(3);
  // The library as anyone would use it: its own provider, no options that help.
  // Under exactOptionalPropertyTypes the library's own provider does not fit its own interface.
  const provider = new WsProvider(chain.url) as unknown as ProviderOption;
  api = await ApiPromise.create({ provider, noInitWarn: true });
});

afterAll(async () => {
  await api.disconnect();
  await chain.close();
});

function entry(path: string) {
  const [pallet = '', item = ''] = path.split('.');
  const found = api.query[pallet]?.[item];
  if (found === undefined) throw new Error(`the metadata has no ${path}`);
  return found;
}

describe('composed metadata, read by @polkadot/api', () => {
  it.each(Object.entries(prefixes))('%s has the key prefix %s', (path, prefix) => {
    expect(entry(path).keyPrefix()).toBe(prefix);
  });

  it('the fixed key prefixes of the client follow from the names of the items', () => {
    for (const { pallet, item, prefix } of Object.values(storageItems)) {
      const lower = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);
      expect(entry(`${lower(pallet)}.${lower(item)}`).keyPrefix()).toBe(prefix);
    }
  });

  it.each(Object.entries(forms))('%s has the type of the Entropy runtime', (path, [modifier, type]) => {
    const { meta } = entry(path).creator;
    const id = meta.type.isMap ? meta.type.asMap.value : meta.type.asPlain;
    expect([meta.modifier.type, api.registry.lookup.getTypeDef(id).type]).toEqual([modifier, type]);
    if (meta.type.isMap)
      expect(meta.type.asMap.hashers.map(({ type: hasher }) => hasher)).toEqual(['Blake2_128Concat']);
  });

  it('decodes the registered record, the sets and the measurements', async () => {
    const { stash, account } = serverRecord(1);
    expect(entry('stakingExtension.thresholdServers').key(stash)).toBe(
      mapKey(storageItems.thresholdServers, stash),
    );
    const record = await entry('stakingExtension.thresholdServers')(stash);
    expect(record.toHuman()).toMatchObject({ endpoint: '127.0.0.1:3001' });
    expect(toPrefixedHex((await entry('stakingExtension.thresholdToStash')(account)).toU8a())).toContain(
      toPrefixedHex(stash).slice(2),
    );
    expect((await entry('session.validators')()).toU8a(true).slice(-32)).toEqual(stash);
    expect((await entry('stakingExtension.signers')()).toU8a(true).slice(-32)).toEqual(stash);
    expect((await entry('parameters.acceptedMeasurementValues')('EntropyTss')).toHuman()).toEqual([
      `0x${'cd'.repeat(32)}`,
    ]);
    expect((await entry('stakingExtension.thresholdServers').entries()).length).toBe(1);
    expect((await entry('system.account')(stash)).toHuman()).toMatchObject({ nonce: '0' });
  });

  it('block hashes are the hashes of the headers, for the library too', async () => {
    const finalized = await api.rpc.chain.getFinalizedHead();
    expect((await api.rpc.chain.getHeader(finalized)).hash.toHex()).toBe(finalized.toHex());
    expect((await api.rpc.chain.getBlock(finalized)).block.header.hash.toHex()).toBe(chain.finalized().hash);
    expect(api.genesisHash.toHex()).toBe(chain.genesisHash);
    expect(api.consts['system']?.['ss58Prefix']?.toString()).toBe('42');
  });

  it('shows subscribers the best block and the upgraded runtime', async () => {
    const seen: string[] = [];
    const stop = await api.query['timestamp']?.['now']?.((value: { toString(): string }) => {
      seen.push(value.toString());
    });
    chain.newBlocks(1);
    await eventually(() => (seen.length > 1 ? true : undefined));
    chain.upgradeRuntime('reordered');
    chain.newBlocks(2);
    await eventually(() => (api.runtimeVersion.specVersion.toNumber() === 501 ? true : undefined));
    const record = await entry('stakingExtension.thresholdServers')(serverRecord(1).stash);
    expect(record.toHuman()).toMatchObject({ version: '1', endpoint: '127.0.0.1:3001' });
    // Subscribing gives back the function that ends it.
    (stop as unknown as () => void)();
  });
});
