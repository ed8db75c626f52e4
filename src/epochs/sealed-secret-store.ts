import { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { BatchOperation, Namespace, Store } from '../store/api/store-api.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import { EpochNames, participantName } from './epoch-names.ts';
import { decodeShare, encodeShare, SEED_BYTES, type Share } from './epoch-record.ts';
import { InFlight } from './in-flight.ts';
import { PrunedBound } from './pruned-bound.ts';
import type { SecretStore } from './secret-store.ts';

/**
 * Keeps the secrets of each epoch in an erasable namespace of the sealed store: pruning destroys that namespace's
 * key, so that the remaining bytes on the disk cannot be opened, not even with the store key.
 */
export class SealedSecretStore implements SecretStore {
  readonly #store: Store;
  readonly #names: EpochNames;
  readonly #pruned: PrunedBound;
  readonly #open = new Map<number, Promise<Namespace>>();
  readonly #writes = new InFlight();
  readonly #order = new KeyedLock<string>();

  private constructor(store: Store, names: EpochNames, pruned: PrunedBound) {
    this.#store = store;
    this.#names = names;
    this.#pruned = pruned;
  }

  /** Opens the secrets of one journal, and finishes a pruning that a crash interrupted. */
  static async open(store: Store, journal = 'dkg'): Promise<SealedSecretStore> {
    const names = new EpochNames(journal);
    const secrets = new SealedSecretStore(store, names, await PrunedBound.open(store, names.secretsMeta));
    await secrets.#eraseBelow(secrets.#pruned.value);
    return secrets;
  }

  async putShare(epoch: number, share: Share): Promise<void> {
    const bytes = encodeShare(share);
    try {
      await this.#putOnce(epoch, 'share', bytes);
    } finally {
      bytes.fill(0);
    }
  }

  async getShare(epoch: number): Promise<Share | undefined> {
    const bytes = await this.#get(epoch, 'share');
    try {
      return bytes && decodeShare(bytes);
    } finally {
      bytes?.fill(0);
    }
  }

  async putSeed(epoch: number, seed: SecretBytes): Promise<void> {
    if (seed.length !== SEED_BYTES)
      throw new RangeError(`a dealer's seed must be ${SEED_BYTES} bytes, got ${seed.length}`);
    // The caller may wipe the seed while it is written: a seed of zeros must never be kept.
    const copy = new SecretBytes(seed.reveal());
    try {
      await this.#putOnce(epoch, 'seed', copy.reveal());
    } finally {
      copy.wipe();
    }
  }

  async getSeed(epoch: number): Promise<SecretBytes | undefined> {
    const bytes = await this.#get(epoch, 'seed');
    return bytes && SecretBytes.adopt(bytes);
  }

  async putDealing(epoch: number, dealer: Uint8Array, dealing: SecretBytes): Promise<void> {
    const name = dealingName(dealer);
    const copy = new SecretBytes(dealing.reveal());
    try {
      await this.#write(epoch, (namespace) => namespace.put(name, copy.reveal()));
    } finally {
      copy.wipe();
    }
  }

  async getDealing(epoch: number, dealer: Uint8Array): Promise<SecretBytes | undefined> {
    const bytes = await this.#get(epoch, dealingName(dealer));
    return bytes && SecretBytes.adopt(bytes);
  }

  /** Whether the secrets are kept in this store, so that one batch can hold both halves of a dealing. */
  isOn(store: Store): boolean {
    return this.#store === store;
  }

  /** As {@link putDealing}, as one step of a batch of the caller, which must not overlap a {@link prune}. */
  async dealingPut(epoch: number, dealer: Uint8Array, dealing: SecretBytes): Promise<BatchOperation> {
    this.#pruned.refuse(epoch);
    const name = dealingName(dealer);
    const { name: namespace } = await this.#namespace(epoch);
    return { kind: 'put', namespace, name, value: dealing.reveal() };
  }

  async prune(min: number): Promise<void> {
    await this.#pruned.raise(min);
    await this.#eraseBelow(this.#pruned.value);
  }

  async #eraseBelow(min: number): Promise<void> {
    // A write that passed the check before the bound rose must not create the namespace again afterwards.
    await this.#writes.settled();
    for (const epoch of this.#names.secretEpochs(this.#store.namespaces())) {
      if (epoch >= min) break;
      this.#open.delete(epoch);
      await this.#store.eraseNamespace(this.#names.secrets(epoch));
    }
  }

  #putOnce(epoch: number, name: string, value: Uint8Array): Promise<void> {
    // One after another: a second, equal put must not resolve before the first is durable.
    const put = (namespace: Namespace) =>
      this.#order.run(`${epoch}/${name}`, () => putOnce(namespace, epoch, name, value));
    return this.#write(epoch, put);
  }

  /** Runs a write of an epoch that is not pruned, where a pruning can see it. */
  #write(epoch: number, write: (namespace: Namespace) => Promise<void>): Promise<void> {
    return this.#writes.run(async () => {
      this.#pruned.refuse(epoch);
      await write(await this.#namespace(epoch));
    });
  }

  async #get(epoch: number, name: string): Promise<Uint8Array | undefined> {
    if (epoch < this.#pruned.value) return undefined;
    // Opening a namespace that does not exist would create it; a read must not write.
    if (!this.#open.has(epoch) && !this.#store.hasNamespace(this.#names.secrets(epoch))) return undefined;
    return (await this.#namespace(epoch)).get(name);
  }

  #namespace(epoch: number): Promise<Namespace> {
    const known = this.#open.get(epoch);
    if (known !== undefined) return known;
    const opening = this.#store.namespace(this.#names.secrets(epoch), { erasable: true });
    this.#open.set(epoch, opening);
    opening.catch(() => this.#open.delete(epoch));
    return opening;
  }
}

const dealingName = (dealer: Uint8Array): string => `dealing/${participantName(dealer)}`;

async function putOnce(namespace: Namespace, epoch: number, name: string, value: Uint8Array): Promise<void> {
  if (await namespace.putIfAbsent(name, value)) return;
  const kept = await namespace.get(name);
  const isSame = kept !== undefined && equalConstantTime(kept, value);
  kept?.fill(0);
  if (isSame) return;
  throw new EvidenceError(
    'EPOCH_SECRET_CONFLICT',
    `epoch ${epoch} has another ${name}; it was not replaced`,
    {
      field: name,
      hint:
        name === 'seed'
          ? 'Deal with the seed that is kept: a second polynomial would be equivocation.'
          : 'Two outcomes of one epoch: find out which log is right before anything else.',
    },
  );
}
