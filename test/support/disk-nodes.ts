import type { Dice } from './disk-dice.ts';
import {
  type FileChange,
  type Survival,
  survivingChanges,
  survivingPrefixOrSubset,
} from './disk-survival.ts';

/** Bytes that grow by doubling, so that appending is cheap. */
class Content {
  #bytes: Uint8Array;
  length: number;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes;
    this.length = bytes.length;
  }

  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  apply(change: FileChange): void {
    const end = change.kind === 'write' ? change.position + change.bytes.length : change.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.view());
      this.#bytes = grown;
    }
    if (change.kind === 'write') {
      this.#bytes.set(change.bytes, change.position);
      this.length = Math.max(this.length, end);
      return;
    }
    // What a shrinking leaves behind must read as zeros when the file grows again.
    if (end < this.length) this.#bytes.fill(0, end, this.length);
    this.length = end;
  }
}

/** A file: what programs see, what the platter holds, and the changes that are on their way from one to the other. */
export class SimulatedFile {
  readonly kind = 'file';
  readonly #seen: Content;
  readonly #platter: Content;
  #dirty: FileChange[] = [];
  #changesSettled = 0;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#seen = new Content(bytes.slice());
    this.#platter = new Content(bytes.slice());
  }

  get size(): number {
    return this.#seen.length;
  }

  bytes(): Uint8Array {
    return this.#seen.view();
  }

  change(change: FileChange): void {
    this.#seen.apply(change);
    this.#dirty.push(change);
  }

  /** Number of the last change; a sync that starts now covers the changes up to it and no later one. */
  get lastChange(): number {
    return this.#changesSettled + this.#dirty.length;
  }

  /** The changes up to that number reach the platter. */
  sync(lastChange: number): void {
    const covered = this.#dirty.splice(0, Math.max(0, lastChange - this.#changesSettled));
    this.#changesSettled += covered.length;
    for (const change of covered) this.#platter.apply(change);
  }

  /** The behaviour of Linux when a write-back fails: pages are marked clean although they are not on the disk. */
  dropDirty(): void {
    this.#changesSettled += this.#dirty.length;
    this.#dirty = [];
  }

  afterPowerCut(survival: Survival, dice: Dice): SimulatedFile {
    const left = new Content(this.#platter.view().slice());
    for (const change of survivingChanges(this.#dirty, survival, dice)) left.apply(change);
    return new SimulatedFile(left.view());
  }

  clone(): SimulatedFile {
    const copy = new SimulatedFile(this.#platter.view());
    for (const change of this.#dirty) copy.change(change);
    // After a dropped write-back the two differ by more than the dirty changes.
    copy.#seen.apply({ kind: 'resize', length: 0 });
    copy.#seen.apply({ kind: 'write', position: 0, bytes: this.bytes().slice() });
    return copy;
  }
}

/** Either kind of node. */
export type SimulatedNode = SimulatedFile | SimulatedFolder;

/** One change of a folder; a rename inside one folder is atomic. */
export type FolderChange =
  | { readonly kind: 'link'; readonly name: string; readonly node: SimulatedNode }
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly node: SimulatedNode };

function applyToFolder(entries: Map<string, SimulatedNode>, change: FolderChange): void {
  if (change.kind === 'link') entries.set(change.name, change.node);
  else if (change.kind === 'unlink') entries.delete(change.name);
  else {
    entries.delete(change.from);
    entries.set(change.to, change.node);
  }
}

/** A folder: its entries as seen, as on the platter, and the changes between. */
export class SimulatedFolder {
  readonly kind = 'directory';
  readonly #seen = new Map<string, SimulatedNode>();
  #platter = new Map<string, SimulatedNode>();
  #dirty: FolderChange[] = [];

  get(name: string): SimulatedNode | undefined {
    return this.#seen.get(name);
  }

  entries(): IterableIterator<[string, SimulatedNode]> {
    return this.#seen.entries();
  }

  get size(): number {
    return this.#seen.size;
  }

  change(change: FolderChange): void {
    applyToFolder(this.#seen, change);
    this.#dirty.push(change);
  }

  sync(): void {
    for (const change of this.#dirty) applyToFolder(this.#platter, change);
    this.#dirty = [];
  }

  dropDirty(): void {
    this.#dirty = [];
  }

  afterPowerCut(survival: Survival, dice: Dice): SimulatedFolder {
    const left = new Map(this.#platter);
    for (const change of survivingPrefixOrSubset(this.#dirty, survival, dice)) applyToFolder(left, change);
    return SimulatedFolder.#settled(
      [...left].map(([name, node]) => [name, node.afterPowerCut(survival, dice)]),
    );
  }

  /** A copy in which every folder change has reached the platter; files keep what is dirty. */
  clone(): SimulatedFolder {
    return SimulatedFolder.#settled([...this.#seen].map(([name, node]) => [name, node.clone()]));
  }

  static #settled(entries: readonly (readonly [string, SimulatedNode])[]): SimulatedFolder {
    const folder = new SimulatedFolder();
    for (const [name, node] of entries) folder.change({ kind: 'link', name, node });
    folder.sync();
    return folder;
  }
}
