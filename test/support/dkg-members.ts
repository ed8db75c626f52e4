import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { type Scalar, scalarField } from '../../src/crypto/ristretto255.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import type { Round } from '../../src/epochs/dkg-scheme.ts';
import { EpochJournal, type EpochJournalOptions } from '../../src/epochs/epoch-journal.ts';
import type { EpochState, Share } from '../../src/epochs/epoch-record.ts';
import { lagrangeAtZero } from '../../src/epochs/feldman/commitment.ts';
import { FeldmanScheme } from '../../src/epochs/feldman/feldman-scheme.ts';
import type { Store } from '../../src/store/api/store-api.ts';
import { MemoryStore } from './memory-store.ts';

/** 32 bytes that follow from a text. */
export const bytesOf = (text: string): Uint8Array => sha256(new TextEncoder().encode(text));
/** The public key of a participant, or any other 32 bytes; no private key belongs to it. */
export const keyOf = bytesOf;
export const secretOf = (text: string): SecretBytes => new SecretBytes(bytesOf(text));

/** The same identity for the same number, before and after a crash. */
export const schemeOf = (member: number): FeldmanScheme => new FeldmanScheme(secretOf(`identity ${member}`));

/** A round among the members, all of them dealers and players. */
export function roundOf(schemes: readonly FeldmanScheme[], epoch: number, previous?: Uint8Array): Round {
  const members = schemes.map(({ self }) => self);
  return {
    network: 'test',
    epoch,
    round: previous === undefined ? 0 : epoch,
    dealers: members,
    players: members,
    ...(previous === undefined ? {} : { previous }),
  };
}

export const stateOf = (seed: string, more: Partial<EpochState> = {}): EpochState => ({
  round: 0,
  rngSeed: secretOf(seed),
  ...more,
});

/** A journal in epoch `epoch`, on a store that a test can open again. */
export async function journalAt(
  epoch: number,
  seed: string,
  store: Store = new MemoryStore(),
  options: EpochJournalOptions = {},
): Promise<EpochJournal> {
  const journal = await EpochJournal.open(store, options);
  await journal.commitEpoch(epoch, stateOf(seed));
  return journal;
}

/** The secret that these shares interpolate to. */
export function secretFrom(shares: readonly Share[]): Scalar {
  const indices = shares.map(({ index }) => index);
  return shares.reduce((sum, { index, scalar }) => {
    const value = scalarField.tryFromBytes(scalar.reveal()) ?? 0n;
    return scalarField.add(sum, scalarField.multiply(value, lagrangeAtZero(index, indices)));
  }, 0n);
}
