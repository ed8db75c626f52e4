import { equalBytes } from '../../bytes/concat.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import {
  constantsDigest,
  firstRegistry,
  type Registry,
  type RingConstants,
  registryDigest,
} from './registry.ts';

/** Registries that are kept; a node that was away for more changes of the chain joins again. */
export const MAX_KEPT = 256;

/** What one node tells another one of its log. */
export interface LogPart {
  /** Digest of the registry before the first one. */
  readonly before: Uint8Array;
  /** In order, at least one. */
  readonly registries: readonly Registry[];
  /** The boundary up to which these are all. */
  readonly upTo: number;
}

/**
 * The registries of a ring in order: those of the boundaries at which the servers changed, and up to which boundary that
 * is known. It has no gaps; old ones are forgotten from its beginning.
 */
export class RegistryLog {
  readonly #before: Uint8Array;
  readonly registries: readonly Registry[];
  /** The newest boundary that it covers. */
  readonly upTo: number;

  private constructor({ before, registries, upTo }: LogPart) {
    this.#before = before;
    this.registries = registries;
    this.upTo = upTo;
  }

  /** The log of a ring that begins. */
  static from(constants: RingConstants): RegistryLog {
    const { firstBlock } = constants;
    return new RegistryLog({
      before: constantsDigest(constants),
      registries: [firstRegistry(constants)],
      upTo: firstBlock,
    });
  }

  /**
   * A log of what was received or stored.
   * @throws EvidenceError RING_VIEWS_DIFFER unless the registries are in order and each digest is that of its content.
   */
  static of(part: LogPart): RegistryLog {
    let { before } = part;
    let block = -1;
    for (const registry of part.registries) {
      const fits = equalBytes(registry.digest, registryDigest(before, registry));
      if (registry.block <= block || registry.block > part.upTo || !fits)
        throw differ(`registry ${registry.block} does not follow on ${block}`);
      before = registry.digest;
      block = registry.block;
    }
    if (block === -1) throw differ('there is no registry');
    return new RegistryLog(part);
  }

  get newest(): Registry {
    const newest = this.registries.at(-1);
    if (newest === undefined) throw new TypeError('a log has a registry');
    return newest;
  }

  get oldest(): Registry {
    return this.registries[0] ?? this.newest;
  }

  /** The log with the registry of its next boundary; the same one again when nothing has changed there. */
  with(registry: Registry, boundary: number): RegistryLog {
    const registries = registry === this.newest ? this.registries : [...this.registries, registry];
    return new RegistryLog({ ...this.part(), registries, upTo: boundary });
  }

  /** The log without the oldest registries that are more than are kept. @param needed the block of one that is kept in any case. */
  trimmed(needed: number): RegistryLog {
    const excess = this.registries.length - MAX_KEPT;
    const first = this.registries.findIndex(({ block }, at) => at >= excess || block >= needed);
    const dropped = this.registries[first - 1];
    if (dropped === undefined) return this;
    return new RegistryLog({
      before: dropped.digest,
      registries: this.registries.slice(first),
      upTo: this.upTo,
    });
  }

  /** All of it. */
  part(): LogPart {
    return { before: this.#before, registries: this.registries, upTo: this.upTo };
  }

  /** What comes after a registry of this log; all of it when it does not have that one any more. @param limit how many. */
  after(block: number, limit: number): LogPart {
    const known = this.registries.findIndex((registry) => registry.block === block);
    const rest = this.registries.slice(Math.max(0, known));
    const registries = rest.slice(0, limit + 1);
    const next = rest[limit + 1];
    const before = this.registries[known - 1]?.digest ?? this.#before;
    return { before, registries, upTo: next === undefined ? this.upTo : (registries.at(-1)?.block ?? 0) };
  }

  /** The registry that holds at a boundary; `undefined` outside of what the log covers. */
  at(block: number): Registry | undefined {
    if (block > this.upTo) return undefined;
    return this.registries.findLast((registry) => registry.block <= block);
  }

  /** Whether another log says something else of a boundary that both cover. */
  contradicts(other: RegistryLog): boolean {
    const from = Math.max(this.oldest.block, other.oldest.block);
    const upTo = Math.min(this.upTo, other.upTo);
    if (from > upTo) return false;
    const blocks = [...this.registries, ...other.registries].map(({ block }) => block);
    return [from, upTo, ...blocks.filter((block) => block > from && block < upTo)].some((block) => {
      const [mine, theirs] = [this.at(block), other.at(block)];
      return mine === undefined || theirs === undefined || !equalBytes(mine.digest, theirs.digest);
    });
  }

  /**
   * What this log and another one both say: the boundaries that both cover. Neither can add anything alone.
   * @returns `undefined` when they have no boundary in common.
   * @throws EvidenceError RING_VIEWS_DIFFER when they contradict each other.
   */
  agreed(other: RegistryLog): RegistryLog | undefined {
    if (this.contradicts(other)) throw differ('two members say different things of one boundary');
    const later = this.oldest.block >= other.oldest.block ? this : other;
    const upTo = Math.min(this.upTo, other.upTo);
    if (later.oldest.block > upTo) return undefined;
    const registries = later.registries.filter(({ block }) => block <= upTo);
    return new RegistryLog({ before: later.#before, registries, upTo });
  }

  /** Whether there is no gap between another log and this one, which goes on. */
  follows(earlier: RegistryLog): boolean {
    return this.oldest.block <= earlier.upTo;
  }

  /**
   * This log and what another one has after it. Where the other one has forgotten what this one ends with, the other
   * one.
   * @throws EvidenceError RING_VIEWS_DIFFER when they contradict each other.
   */
  joined(other: RegistryLog): RegistryLog {
    if (this.contradicts(other)) throw differ(`two logs differ before boundary ${this.upTo}`);
    if (other.upTo <= this.upTo) return this;
    if (other.oldest.block > this.upTo) return other;
    const added = other.registries.filter(({ block }) => block > this.upTo);
    return new RegistryLog({
      ...this.part(),
      registries: [...this.registries, ...added],
      upTo: other.upTo,
    });
  }
}

const differ = (observed: string): EvidenceError =>
  new EvidenceError(
    'RING_VIEWS_DIFFER',
    `the registries of a member are not those of this node: ${observed}`,
    {
      expected: 'the same registered servers at every boundary',
      observed,
    },
  );
