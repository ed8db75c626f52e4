import type { Namespace } from '../store/api/store-api.ts';
import { idText } from './ritual.ts';

/** Most keys in one box. When a key is destroyed, the other keys of its box are moved. */
export const KEYS_PER_BOX = 32;

const BOXES = 'rituals/keys/';

/** Name of the namespace of a box. */
export const boxName = (number: number): string => `${BOXES}${String(number).padStart(10, '0')}`;

/** The number of a box by its namespace's name; `undefined` for another namespace. */
export function boxNumber(name: string): number | undefined {
  return name.startsWith(BOXES) ? Number(name.slice(BOXES.length)) : undefined;
}

/** An erasable namespace with the keys of up to {@link KEYS_PER_BOX} rituals, by id. */
export class KeyBox {
  readonly number: number;
  readonly space: Namespace;
  readonly #writing = new Set<Promise<unknown>>();
  #left: number;

  constructor(number: number, space: Namespace) {
    this.number = number;
    this.space = space;
    this.#left = KEYS_PER_BOX - space.size;
  }

  get isFull(): boolean {
    return this.#left <= 0;
  }

  /** Ids of the rituals that have their key in this box. */
  *ids(): Generator<number> {
    for (const name of this.space.names()) yield Number(name);
  }

  has(id: number): boolean {
    return this.space.has(idText(id));
  }

  key(id: number): Promise<Uint8Array | undefined> {
    return this.space.get(idText(id));
  }

  /** Reserves a free place. If the write that should fill it fails, the place is unused until the next start. */
  takePlace(): void {
    this.#left -= 1;
  }

  /** Reserves a free place and fills it by `write`, for which {@link settled} waits. */
  async fill<T>(write: () => Promise<T>): Promise<T> {
    this.takePlace();
    const writing = write();
    this.#writing.add(writing);
    try {
      return await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  /** Resolves when no place is being filled. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#writing);
  }
}
