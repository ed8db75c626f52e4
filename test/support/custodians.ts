import { toPrefixedHex } from '../../src/bytes/hex.ts';
import type { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { makeAnswer, openOwnPart } from '../../src/custody/answer.ts';
import { type CustodianKey, makeCustodianKey } from '../../src/custody/custodian-key.ts';
import { type CustodianKnowledge, judgeRequest } from '../../src/custody/judge-request.ts';
import { decodeRequest } from '../../src/custody/request.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { parseTrustSection, type TrustSection } from '../../src/trust/trust-section.ts';
import { START_MS } from './collateral-world.ts';
import { seededBytes } from './seeded-bytes.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import { defaultTrust } from './simulated-network-world.ts';

/** A custodian with name and key. */
export interface TestCustodian extends CustodianKey {
  readonly name: string;
}

const random = (name: string) => {
  let seed = 0;
  for (const character of name) seed = seed * 31 + character.charCodeAt(0);
  return (length: number) => seededBytes(seed, length);
};

/** Three custodians of a fleet. */
export const custodians: readonly TestCustodian[] = ['alice', 'bob', 'carol'].map((name) => ({
  name,
  ...makeCustodianKey(random(name)),
}));

/** The key `trust.custody` for custodians. */
export const custodyOf = (threshold: number, members: readonly TestCustodian[] = custodians) => ({
  threshold,
  custodians: members.map(({ name, publicKey }) => ({ name, key: toPrefixedHex(publicKey) })),
});

/** The trust section of a simulated network with these custodians. */
export const trustWith = (threshold: number): TrustSection =>
  parseTrustSection({ ...defaultTrust, custody: custodyOf(threshold) });

/** What every custodian of a simulated network knows. */
export const knowledgeIn = ({ world }: SimulatedNetwork): CustodianKnowledge => ({
  trust: world.config.trust,
  measurements: [measurementId(world.body)],
  verifier: world.verifier,
  collateral: world.pki.collateral({ nowMs: START_MS }),
  nowMs: world.clock.nowMs(),
});

/** A custodian's answer to the text of a request, as the tool makes it. */
export function answerTo(
  text: string,
  { seed }: { readonly seed: SecretBytes },
  knowledge: CustodianKnowledge,
): string {
  const judged = judgeRequest(decodeRequest(text), knowledge);
  const own = openOwnPart(judged.request, seed);
  try {
    return makeAnswer(judged, own);
  } finally {
    own.part.fill(0);
  }
}
