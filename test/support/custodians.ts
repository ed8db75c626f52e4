import type { CustodyProgress } from '../../src/boot/life/custody-desk.ts';
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
import type { SimulatedNode } from './simulated-network-node.ts';
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

const custodianOf = (name: string): TestCustodian => ({ name, ...makeCustodianKey(random(name)) });

/** Three custodians of a fleet. */
export const custodians: readonly TestCustodian[] = ['alice', 'bob', 'carol'].map(custodianOf);

/** Those that come after them. */
export const laterCustodians: readonly TestCustodian[] = ['dave', 'erin', 'frank'].map(custodianOf);

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
export const answerTo = (
  text: string,
  custodian: { readonly seed: SecretBytes },
  knowledge: CustodianKnowledge,
): string => answerBy(text, custodian, knowledge, () => undefined);

/** The answer of a custodian who seals another share than the own one. */
export const lyingAnswerTo = (
  text: string,
  custodian: { readonly seed: SecretBytes },
  knowledge: CustodianKnowledge,
): string =>
  answerBy(text, custodian, knowledge, (part) => {
    part[0] = (part[0] ?? 0) ^ 1;
  });

function answerBy(
  text: string,
  { seed }: { readonly seed: SecretBytes },
  knowledge: CustodianKnowledge,
  change: (part: Uint8Array) => void,
): string {
  const judged = judgeRequest(decodeRequest(text), knowledge);
  const own = openOwnPart(judged.request, seed);
  try {
    change(own.part);
    return makeAnswer(judged, own);
  } finally {
    own.part.fill(0);
  }
}

/** A machine asks custodians, and gives their answers to its node. */
export async function askCustodians(
  net: SimulatedNetwork,
  node: SimulatedNode,
  members: readonly TestCustodian[],
  isForced = false,
): Promise<CustodyProgress> {
  const { clock } = net.world;
  const request = await clock.until(node.custody.request());
  const answers = members.map((member) => answerTo(request, member, knowledgeIn(net)));
  return await clock.until(node.custody.open(answers, isForced));
}
