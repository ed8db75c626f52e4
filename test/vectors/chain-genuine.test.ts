import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { toHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { startDecoderProcess } from '../../src/chain/decoder-process.ts';
import { authorityChange } from '../../src/chain/proof/authority-change.ts';
import { AuthoritySet } from '../../src/chain/proof/authority-set.ts';
import { decodeHeader } from '../../src/chain/proof/header.ts';
import { decodeJustification, verifyJustification } from '../../src/chain/proof/justification.ts';
import { ProofReader } from '../../src/chain/proof/proof-reader.ts';
import { ProvenState } from '../../src/chain/proof/trie-proof.ts';
import { runtimeReleases } from '../../src/chain/runtime-releases.ts';
import { codeOf } from '../support/thrown.ts';
import { haveVectors, vectorBytes, vectorJson } from '../support/vectors.ts';

/** One row of the manifest, as far as it is used. */
interface Row {
  readonly file: string;
  readonly kind: 'header' | 'justification' | 'proof' | 'metadata';
  readonly hash?: string;
  readonly number?: number;
  readonly parentHash?: string;
  readonly stateRoot?: string;
  readonly digestItems?: number;
  readonly round?: string;
  readonly targetHash?: string;
  readonly targetNumber?: number;
  readonly precommits?: number;
  readonly root?: string;
  readonly nodes?: number;
  readonly spec?: string;
}

const rows = haveVectors ? vectorJson<Row[]>('chain/manifest.json') : [];
const ofKind = (kind: Row['kind']): readonly Row[] => rows.filter((row) => row.kind === kind);

const hexBytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replace(/^0x/, ''), 'hex'));
const bytesOf = (file: string): Uint8Array =>
  hexBytes(
    Buffer.from(vectorBytes(`chain/${file}`))
      .toString()
      .trim(),
  );

describe.skipIf(!haveVectors)('genuine headers', () => {
  it.each(ofKind('header'))('$file', ({ digestItems, file, hash, number, parentHash, stateRoot }) => {
    const header = decodeHeader(bytesOf(file));
    expect({
      hash: toPrefixedHex(header.hash),
      number: header.number,
      parentHash: toPrefixedHex(header.parentHash),
      stateRoot: toPrefixedHex(header.stateRoot),
      digestItems: header.digest.length,
    }).toEqual({ hash, number, parentHash, stateRoot, digestItems });
  });

  it('the last block of an authority set of Polkadot names the next authorities; other blocks announce no change', () => {
    const change = authorityChange(decodeHeader(bytesOf('header-polkadot-512271.hex')));
    expect(change).toMatchObject({ kind: 'scheduled', delay: 0 });
    expect(change?.nextAuthorities).toHaveLength(197);
    expect(new AuthoritySet(1n, change?.nextAuthorities ?? []).threshold).toBe(132n);
    for (const { file } of ofKind('header').filter((row) => !row.file.includes('512271')))
      expect(authorityChange(decodeHeader(bytesOf(file)))).toBeUndefined();
  });
});

describe.skipIf(!haveVectors)('genuine justifications', () => {
  const setIds: Readonly<Record<string, bigint>> = {
    'justification-302592.hex': 0n,
    'justification-4635975-gossamer.hex': 450n,
  };

  it.each(ofKind('justification'))('$file', ({ file, precommits, round, targetHash, targetNumber }) => {
    const setId = setIds[file];
    if (setId === undefined) throw new Error(`the set id of ${file} is needed`);
    const bytes = bytesOf(file);
    const justification = decodeJustification(bytes);
    expect({
      round: String(justification.round),
      targetHash: toPrefixedHex(justification.targetHash),
      targetNumber: justification.targetNumber,
      precommits: justification.precommits.length,
    }).toEqual({ round, targetHash, targetNumber, precommits });
    const signers = new Map(justification.precommits.map(({ signer }) => [toHex(signer), signer]));
    const members = [...signers.values()].map((publicKey) => ({ publicKey, weight: 1n }));
    const verdict = (id: bigint, given = justification, set = members): string =>
      codeOf(() => verifyJustification(given, new AuthoritySet(id, set)));
    expect(verdict(setId)).toBe('none');
    expect(verdict(setId + 1n)).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict(setId, justification, members.slice(1))).toBe('CHAIN_FINALITY_UNPROVEN');
    for (const index of [0, justification.precommits.length - 1]) {
      const forged = new Uint8Array(bytes);
      const at = Buffer.from(bytes).indexOf(justification.precommits[index]?.signature ?? new Uint8Array(64));
      forged[at + 5] = (forged[at + 5] ?? 0) ^ 1;
      expect(verdict(setId, decodeJustification(forged))).toBe('CHAIN_FINALITY_UNPROVEN');
    }
  });
});

describe.skipIf(!haveVectors)('genuine storage proofs', () => {
  function read(file: string) {
    const row = rows.find((one) => one.file === file);
    const reader = new ProofReader(bytesOf(file), 'proof');
    const nodes = Array.from({ length: reader.count(1, 'nodes') }, () => reader.byteString('node'));
    reader.end();
    expect(nodes).toHaveLength(row?.nodes ?? -1);
    const root = hexBytes(row?.root ?? '');
    const state = new ProvenState(root, nodes);
    return {
      nodes,
      root,
      state,
      value: (key: string): string | undefined => {
        const value = state.value(hexBytes(key));
        return value === undefined ? undefined : toHex(value);
      },
      entries: () => state.entries(new Uint8Array(0)).map(([key, value]) => [toHex(key), toHex(value)]),
    };
  }

  it('of Polkadot’s genesis: a value, an absent key, and a key that the proof does not cover', () => {
    const proof = read('proof-polkadot-genesis.hex');
    const key =
      '9c5d795d0297be56027a4b2464e3339763e6d3c1fb15805edfd024172ea4817d7081542596adb05d6140c170ac479edf7cfd5aa35357590acfe5d11a804d944e';
    expect(proof.value(key)).toBe('0d1456fdda7b8ec7f9e5c794cd83194f0593e4ea');
    expect(proof.value(`${key}25`)).toBeUndefined();
    expect(codeOf(() => proof.value('26aa394eea5630e07c48ae0c9558cef7'))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => proof.entries())).toBe('CHAIN_PROOF_INVALID');
    for (const missing of proof.nodes.keys()) {
      const nodes = proof.nodes.filter((_node, index) => index !== missing);
      expect(codeOf(() => new ProvenState(proof.root, nodes).value(hexBytes(key)))).toBe(
        'CHAIN_PROOF_INVALID',
      );
    }
  });

  it('with two equal children, inline and hashed', () => {
    expect(read('proof-identical-inline.hex').entries()).toEqual([
      ['00', '6869'],
      ['10', '6869'],
    ]);
    const hashed = read('proof-identical-hashed.hex').entries();
    expect(hashed.map(([key, value = '']) => [key, value.length / 2])).toEqual([
      ['00', 84],
      ['10', 84],
    ]);
  });

  it('of state version 1 with values outside their nodes', () => {
    const { value } = read('proof-issue_2035_proof.hex');
    const prefix = '63f78c98723ddc9073523ef3beefda0ca95dac46c07a40d91506e7637ec4ba57';
    expect(value(`${prefix}071ceff5b0f64d362e080000`)).toBe('00');
    expect(value(prefix)).toBeUndefined();
  });
});

describe.skipIf(!haveVectors)('genuine metadata of Entropy', () => {
  const releases: Readonly<Record<string, string>> = {
    'cd780ce0.scale.gz': 'v0.3.0',
    '28358614.scale.gz': 'v0.4.0',
    '64b682f2.scale.gz': 'the code after v0.4.0',
    '56748bff.scale.gz': 'v0.5.0-rc.1',
  };

  it.each(ofKind('metadata'))(
    '$file of $spec has the record layout of its release',
    async ({ file, spec }) => {
      const release = runtimeReleases.find(({ name }) => name === releases[file]);
      if (release === undefined) throw new Error(`the release of ${file} is needed`);
      expect(`node ${release.specVersion}`).toBe(spec);
      const decoder = startDecoderProcess({ deadlineMs: 240_000 });
      const answer = await decoder.decode(new Uint8Array(gunzipSync(vectorBytes(`chain/${file}`))));
      await decoder.ended;
      if (release.serverInfo.includes('tdxQuote')) {
        expect(release.measurements).toBe('map');
        const layout = { serverInfo: release.serverInfo, entropyTssIndex: 0, hasTimestamp: true };
        expect(answer).toEqual({ kind: 'layout', layout });
      } else {
        // The fields that records have instead of a quote.
        expect(answer).toMatchObject({ kind: 'shape', item: 'StakingExtension.ThresholdServers' });
        expect(answer.kind === 'shape' && answer.observed).toContain('provisioningCertificationKey: Bytes');
      }
    },
    300_000,
  );
});
