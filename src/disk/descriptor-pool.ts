import { readFileSync } from 'node:fs';

/** An open file that can give its descriptor back, and get it again when it is read. */
export interface PooledFile {
  /** The turn of its last use; the lowest gives its descriptor back first. */
  readonly lastUse: number;
  /** Closes the descriptor; does not throw. */
  evict(): void;
}

/** A part of the pool that is evicted at once, so that a search is needed for few openings only. */
const SHARE = 8;

/** Bounds the descriptors of files that are only read: beyond the limit the least recently used ones are closed. */
export class DescriptorPool {
  readonly #limit: number;
  readonly #open = new Set<PooledFile>();
  #turn = 0;

  /** @param limit most descriptors that are open at the same time. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many of its files are open now. */
  get size(): number {
    return this.#open.size;
  }

  /** Number of the present use. */
  nextTurn(): number {
    this.#turn += 1;
    return this.#turn;
  }

  /** A file that is only read was opened. */
  add(file: PooledFile): void {
    this.#open.add(file);
    if (this.#open.size > this.#limit) this.free(file);
  }

  /** A file was closed by its owner. */
  remove(file: PooledFile): void {
    this.#open.delete(file);
  }

  /** Closes the least recently used part of the files, but never `spared`. @returns how many were closed. */
  free(spared?: PooledFile): number {
    const files = [...this.#open].filter((file) => file !== spared).sort((a, b) => a.lastUse - b.lastUse);
    const oldest = files.slice(0, Math.ceil(files.length / SHARE));
    for (const file of oldest) {
      this.#open.delete(file);
      file.evict();
    }
    return oldest.length;
  }
}

const DEFAULT_LIMIT = 1024;
const MIN_POOL = 8;

/** Half of the open files that this process may have; the other half is for connections and everything else. */
export function descriptorsForFiles(): number {
  let limits = '';
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    // Without /proc the usual limit is assumed.
  }
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? DEFAULT_LIMIT);
  return Math.max(MIN_POOL, Math.floor(soft / 2));
}
