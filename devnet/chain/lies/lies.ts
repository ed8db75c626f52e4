/** What a hostile endpoint does, by name; each is a switch of its own. */
export const allLies = [
  /** One node is missing from every read proof, another one each time. */
  'drop-proof-node',
  /** One byte of one node of every read proof is changed, at another place each time. */
  'flip-proof-byte',
  /** Read proofs hold no nodes. */
  'empty-proof',
  /** Read proofs hold nodes that the client did not ask for. */
  'surplus-proof-nodes',
  /** Read proofs hold a node of 24 MiB more, 48 MiB of JSON. */
  'huge-proof',
  /** Lists of keys lack their first key. */
  'hide-key',
  /** Lists of keys are empty. */
  'hide-all-keys',
  /** Headers have another state root. */
  'forge-header',
  /** Justifications are signed by the first half of the authorities. */
  'too-few-signatures',
  /** The first half signs twice. */
  'duplicate-signers',
  /** The signers are not in the set; their number is the size of the set. */
  'foreign-signers',
  /** The right authorities are named, but half of their signatures are invalid. */
  'bad-signatures',
  /** Signatures are made for the next set id. */
  'wrong-set-id',
  /** The signatures are of another round than the one that is named. */
  'wrong-round',
  /** One vote too few for the target, and the same vote for its parent twice. */
  'feigned-equivocation',
  /** One vote too few, and an equivocation with an invalid second signature. */
  'spoilt-equivocation',
  /** One vote too few, and an equivocation by a key outside the set. */
  'foreign-equivocation',
  /** One vote is for an unknown block, without headers that lead to it. */
  'missing-ancestry',
  /** Every justification is that of the first finalized block. */
  'replay-justification',
  /** There are no justifications. */
  'withhold-justifications',
] as const;

/** Name of a lie. */
export type Lie = (typeof allLies)[number];

/** @throws RangeError on a name that is none. */
export function parseLie(name: string): Lie {
  const lie = allLies.find((known) => known === name);
  if (lie === undefined) throw new RangeError(`unknown lie ${name}; known are ${allLies.join(', ')}`);
  return lie;
}

/** The active lies: of all connections, or of one connection, which also gets the lies of all connections. */
export class Lies {
  readonly #everybody: Lies | undefined;
  #told = new Set<Lie>();

  constructor(everybody?: Lies) {
    this.#everybody = everybody;
  }

  /** Replaces those told so far; an empty list is the truth again. */
  tell(lies: readonly Lie[]): void {
    this.#told = new Set(lies);
  }

  /** The active lies, in the order in which they are applied. */
  told(): Lie[] {
    return allLies.filter((lie) => this.#told.has(lie) || this.#everybody?.tells(lie) === true);
  }

  tells(lie: Lie): boolean {
    return this.#told.has(lie) || this.#everybody?.tells(lie) === true;
  }
}

/** Query of an endpoint's URL that names lies: `?lies=hide-key,huge-proof`. */
const QUERY = 'lies';

/** The URL for a connection that gets these lies. */
export function lyingUrl(url: string, lies: readonly Lie[]): string {
  const lying = new URL(url);
  lying.searchParams.set(QUERY, lies.join(','));
  return lying.href;
}

/** The lies named in the path of a request. @throws RangeError on an unknown name. */
export function liesOfPath(path: string): Lie[] {
  const names = new URL(path, 'ws://localhost').searchParams.get(QUERY) ?? '';
  return names
    .split(',')
    .filter((name) => name !== '')
    .map(parseLie);
}
