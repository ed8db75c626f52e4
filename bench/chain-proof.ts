import { createPublicKey, verify } from 'node:crypto';
import { toHex } from '../src/bytes/hex.ts';
import { AuthoritySet } from '../src/chain/proof/authority-set.ts';
import { decodeJustification, verifyJustification } from '../src/chain/proof/justification.ts';
import { ProvenState } from '../src/chain/proof/trie-proof.ts';
import { storageItems } from '../src/chain/storage-keys.ts';
import { blake2b256 } from '../src/crypto/blake2.ts';
import {
  makeBlock,
  makeVoters,
  precommitMessage,
  unanimous,
  type Voter,
} from '../test/support/grandpa-world.ts';
import { TrieBuilder } from '../test/support/trie-builder.ts';
import { type Bench, measure, type Report } from './harness.ts';

const SERVERS = 100;
const QUOTE_BYTES = 5000;
const AUTHORITIES = 100;

/** Verifying chain reads, against the digests and the signatures in them alone. */
export const bench: Bench = {
  name: 'chain-proof',
  async run(report: Report) {
    await readServers(report);
    await checkJustification(report);
  },
};

async function readServers(report: Report): Promise<void> {
  const prefix = storageItems.thresholdServers.prefix.slice(2);
  const servers = Array.from({ length: SERVERS }, (_, index) => {
    const key = prefix + toHex(blake2b256(Uint8Array.of(index))) + toHex(new Uint8Array(16).fill(index));
    return [key, new Uint8Array(QUOTE_BYTES).fill(index)] as const;
  });
  // The rest of a chain's state, so that the way to the prefix has its branches.
  const others = Array.from({ length: 4000 }, (_, index) => {
    return [toHex(blake2b256(Uint8Array.of(index >> 8, index & 255, 1))), Uint8Array.of(1)] as const;
  });
  for (const version of [0, 1] as const) {
    const builder = new TrieBuilder(new Map([...servers, ...others]), version);
    const proof = builder.readProof([prefix, ...servers.map(([key]) => key)]);
    const prefixBytes = new Uint8Array(Buffer.from(prefix, 'hex'));
    const verified = await measure(() => {
      const read = new ProvenState(builder.root, proof).entries(prefixBytes);
      if (read.length !== SERVERS) throw new Error('every server must be proven');
    });
    const floor = await measure(() => proof.map((node) => blake2b256(node)));
    report.result(`read of ${SERVERS} servers with quotes, state version ${version}`, verified);
    report.result(`… floor: BLAKE2b-256 of the same ${proof.length} nodes`, floor);
    report.ratio(`read of servers to its floor, state version ${version}`, verified.p50Ms / floor.p50Ms);
  }
}

async function checkJustification(report: Report): Promise<void> {
  const voters = makeVoters(AUTHORITIES);
  const block = makeBlock(undefined, { number: 1000 });
  const bytes = unanimous(block, voters, 7n);
  const authorities = new AuthoritySet(
    7n,
    voters.map(({ signer, weight }) => ({ publicKey: signer.publicKey, weight })),
  );
  const verified = await measure(() => verifyJustification(decodeJustification(bytes), authorities));
  const floor = await measure(signaturesAlone(voters, block));
  report.result(`justification of ${AUTHORITIES} authorities`, verified);
  report.result(`… floor: ${AUTHORITIES} Ed25519 verifications`, floor);
  report.ratio('justification to its floor', verified.p50Ms / floor.p50Ms);
}

function signaturesAlone(
  voters: readonly Voter[],
  block: Parameters<typeof precommitMessage>[0],
): () => void {
  const message = precommitMessage(block, 3n, 7n);
  const signed = voters.map(({ signer }) => {
    const x = Buffer.from(signer.publicKey).toString('base64url');
    const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
    return { key, signature: signer.sign(message) };
  });
  return () => {
    for (const { key, signature } of signed) {
      if (!verify(null, message, key, signature)) throw new Error('the floor must verify');
    }
  };
}
