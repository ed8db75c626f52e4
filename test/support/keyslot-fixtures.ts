import { AccountId, InstanceId, KeyId, SlotId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../../src/crypto/random.ts';
import type { CustodyPolicy } from '../../src/keyslots/custody-parts.ts';
import { buildGeneration, type EnrolledServer, firstFile } from '../../src/keyslots/generations.ts';
import type {
  Generation,
  GenerationCustody,
  KeyslotFile,
  StoreIdentity,
} from '../../src/keyslots/keyslot-file.ts';
import type { SlotAnswer } from '../../src/keyslots/recovery-attempt.ts';
import type { Quorum } from '../../src/keyslots/threshold.ts';

/** The store of the keyslot files that the tests make. */
export const identity: StoreIdentity = {
  account: AccountId.of(new Uint8Array(32).fill(0xaa)),
  storeId: new Uint8Array(16).fill(0x55),
};

/** A server that issues one key; `name` makes its account. */
export function enrolledServer(name: number, random: RandomSource = systemRandom): EnrolledServer {
  return {
    server: AccountId.of(new Uint8Array(32).fill(name)),
    slotId: SlotId.of(random(16)),
    keyId: KeyId.of(random(16)),
    key: new SecretBytes(random(32)),
    recoveryToken: new SecretBytes(random(32)),
    instanceId: InstanceId.of(random(16)),
  };
}

/** A generation and everything needed to play its servers. */
export interface Enrolment {
  readonly storeKey: SecretBytes;
  readonly servers: readonly EnrolledServer[];
  readonly generation: Generation;
}

/** Enrols servers 1 to n (or as many as given) for one generation. */
export async function enrol(
  quorum: Quorum,
  options: {
    readonly storeKey?: SecretBytes;
    readonly generation?: number;
    readonly servers?: readonly EnrolledServer[];
    readonly random?: RandomSource;
    readonly custody?: CustodyPolicy;
    readonly formerCustody?: GenerationCustody | undefined;
  } = {},
): Promise<Enrolment> {
  const random = options.random ?? systemRandom;
  const storeKey = options.storeKey ?? new SecretBytes(random(32));
  const servers =
    options.servers ?? Array.from({ length: quorum.n }, (_, index) => enrolledServer(index + 1, random));
  const lineageSecret = new SecretBytes(random(32));
  const input = {
    ...identity,
    storeKey,
    lineageSecret,
    generation: options.generation ?? 1,
    quorum,
    enrolled: servers,
    custody: options.custody,
    formerCustody: options.formerCustody,
  };
  return { storeKey, servers, generation: await buildGeneration(input, random) };
}

/** A file of one generation. */
export const fileOf = ({ generation }: Enrolment): KeyslotFile => firstFile(identity, generation);

/** What an honest server answers to `recover`; every server is a platform of its own. */
export const answerOf = ({ server, slotId, keyId, key }: EnrolledServer): SlotAnswer => ({
  server,
  platform: toHex(server),
  slotId,
  keyId,
  key,
});
