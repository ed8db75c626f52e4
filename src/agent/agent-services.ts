import type { RandomSource } from '../crypto/random.ts';
import { EpochJournal } from '../epochs/epoch-journal.ts';
import { EpochNames } from '../epochs/epoch-names.ts';
import { SealedSecretStore } from '../epochs/sealed-secret-store.ts';
import type { SecretStore } from '../epochs/secret-store.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type ConditionsGuardOptions, RitualConditions } from '../rituals/conditions.ts';
import { Datastore } from '../rituals/datastore.ts';
import type { Store } from '../store/api/store-api.ts';
import { TransitKeys } from '../transit/transit-keys.ts';

/**
 * Prefix of the names of secret stores, so that they never equal the name of a journal. A journal writes its own form
 * of private dealings into its secrets, so a program that used both would overwrite the records of the journal.
 */
export const SECRET_STORE_PREFIX = 'secret-store-';

/** Opens a thing by name once, and tries again after a failure: the disk was full, or the node fenced. */
class OpenedOnce<T> {
  readonly #open: (name: string) => Promise<T>;
  readonly #opened = new Map<string, Promise<T>>();

  constructor(open: (name: string) => Promise<T>) {
    this.#open = open;
  }

  has(name: string): boolean {
    return this.#opened.has(name);
  }

  get(name: string): Promise<T> {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const opening = this.#open(name);
    this.#opened.set(name, opening);
    opening.catch(() => this.#opened.delete(name));
    return opening;
  }
}

/** The data services on one open store, each opened when it is first asked for; two would not see each other. */
export class AgentServices {
  readonly store: Store;
  /** Keys for `seal "transit"` of Vault and OpenBao. */
  readonly transit: TransitKeys;
  /** Unix time in seconds. */
  readonly nowSeconds: () => number;
  readonly #conditions: OpenedOnce<RitualConditions>;
  readonly #rituals: OpenedOnce<Datastore>;
  readonly #journals: OpenedOnce<EpochJournal>;
  readonly #secretStores: OpenedOnce<SecretStore>;

  /** `nowMs` is unix time in milliseconds. */
  constructor(store: Store, nowMs: () => number, random: RandomSource, options: ConditionsGuardOptions = {}) {
    this.store = store;
    this.transit = new TransitKeys(store, random);
    this.nowSeconds = () => Math.floor(nowMs() / 1000);
    this.#conditions = new OpenedOnce(() => RitualConditions.open(store));
    this.#rituals = new OpenedOnce(async () => {
      const conditions = await this.conditions();
      return Datastore.initialize(store, {
        authorize: conditions.guard(this.nowSeconds, options),
      });
    });
    this.#journals = new OpenedOnce((name) => EpochJournal.open(store, { name }));
    this.#secretStores = new OpenedOnce((name) => SealedSecretStore.open(store, SECRET_STORE_PREFIX + name));
  }

  /** Conditions of rituals. */
  conditions(): Promise<RitualConditions> {
    return this.#conditions.get('conditions');
  }

  /** Ritual fragments, guarded by their conditions. */
  rituals(): Promise<Datastore> {
    return this.#rituals.get('rituals');
  }

  /** The journal of a DKG for writing, made on first use. */
  journal(name: string): Promise<EpochJournal> {
    return this.#journals.get(name);
  }

  /**
   * A journal for reading: looking must not make one.
   * @throws EvidenceError EPOCH_JOURNAL_NOT_FOUND.
   */
  async existingJournal(name: string): Promise<EpochJournal> {
    if (this.#journals.has(name) || this.#isThere(new EpochNames(name).states)) return this.journal(name);
    throw new EvidenceError('EPOCH_JOURNAL_NOT_FOUND', `the store has no journal ${name}`, {
      field: 'journal',
      hint: 'the first write makes it',
    });
  }

  /** A secret store for writing, made on first use. */
  secretStore(name: string): Promise<SecretStore> {
    return this.#secretStores.get(name);
  }

  /** A secret store for reading; `undefined` where nothing was ever written. */
  async existingSecretStore(name: string): Promise<SecretStore | undefined> {
    const { secretsMeta } = new EpochNames(SECRET_STORE_PREFIX + name);
    return this.#secretStores.has(name) || this.#isThere(secretsMeta) ? this.secretStore(name) : undefined;
  }

  #isThere(namespace: string): boolean {
    return this.store.hasNamespace(namespace);
  }
}

/** Gives the services of the store that is open now, the same ones as long as it is the same store. */
export function servicesOf(
  store: () => Store,
  nowMs: () => number,
  random: RandomSource,
  options: ConditionsGuardOptions = {},
): () => AgentServices {
  const known = new WeakMap<Store, AgentServices>();
  return () => {
    const open = store();
    const services = known.get(open) ?? new AgentServices(open, nowMs, random, options);
    known.set(open, services);
    return services;
  };
}
