import type { Dice } from './disk-dice.ts';
import type { SimulatedDisk } from './simulated-disk.ts';
import { KEYSLOTS, type SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

/** What hosts do to the disks of their machines, in one life of a network. */
export class Hosts {
  readonly #network: SimulatedNetwork;
  readonly #dice: Dice;
  readonly #life: {
    readonly note: (what: string, node: SimulatedNode) => void;
    readonly down: (node: SimulatedNode) => Promise<void>;
    readonly up: (node: SimulatedNode) => void;
  };
  /** What the host has put aside, by machine. */
  readonly #copies = new Map<SimulatedNode, SimulatedDisk>();
  /** The disk as it was before the host touched it. */
  readonly #trueDisks = new Map<SimulatedNode, SimulatedDisk>();

  constructor(
    network: SimulatedNetwork,
    life: {
      readonly note: (what: string, node: SimulatedNode) => void;
      readonly down: (node: SimulatedNode) => Promise<void>;
      readonly up: (node: SimulatedNode) => void;
    },
  ) {
    this.#network = network;
    this.#dice = network.world.dice;
    this.#life = life;
  }

  /** The host of one machine copies, rolls back, swaps, spoils or deletes. */
  async trick(): Promise<void> {
    const node = this.#any((candidate) => !this.#network.tampered.has(candidate));
    if (node === undefined) return;
    if (!this.#copies.has(node) || this.#dice.chance(0.2)) {
      this.#copies.set(node, node.disk.clone());
      this.#life.note('host copies the disk', node);
      return;
    }
    if (node.isRunning) await this.#life.down(node);
    this.#network.hostTouches(node);
    this.#trueDisks.set(node, node.disk.clone());
    const what = this.#tamper(node);
    this.#network.tampered.set(node, what);
    this.#life.note(`host: ${what}`, node);
    this.#life.up(node);
  }

  #tamper(node: SimulatedNode): string {
    const copy = this.#copies.get(node)?.files() ?? new Map<string, Uint8Array>();
    const files = [...node.disk.files().keys()].filter((path) => path.startsWith('/data/node/'));
    const path = files[this.#dice.below(files.length)];
    switch (this.#dice.below(6)) {
      case 0:
        if (files.includes(KEYSLOTS)) node.disk.tamper(KEYSLOTS, undefined);
        return 'deletes the keyslot file';
      case 1:
        if (copy.has(KEYSLOTS) && files.length > 0) node.disk.tamper(KEYSLOTS, copy.get(KEYSLOTS));
        return 'rolls the keyslot file back';
      case 2: {
        const other = this.#any()?.disk.files().get(KEYSLOTS);
        if (other !== undefined && files.length > 0) node.disk.tamper(KEYSLOTS, other);
        return 'swaps keyslot files';
      }
      case 3:
        if (path !== undefined) {
          const bytes = node.disk.files().get(path) ?? new Uint8Array(0);
          const at = this.#dice.below(bytes.length);
          node.disk.tamper(
            path,
            bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte)),
          );
        }
        return 'flips a bit';
      case 4:
        if (path !== undefined) node.disk.tamper(path, undefined);
        return 'deletes a file';
      default:
        node.disk = this.#copies.get(node)?.clone() ?? node.disk;
        return 'rolls the disk back';
    }
  }

  /** The host gives back what it took, unless the store was opened and has gone on since. */
  async repent(node: SimulatedNode): Promise<void> {
    const disk = this.#trueDisks.get(node);
    this.#trueDisks.delete(node);
    this.#network.tampered.delete(node);
    if (disk === undefined || node.open !== undefined) return;
    this.#network.hostTouches(node);
    if (node.isRunning) await this.#network.world.clock.until(node.stop());
    node.disk = disk;
    this.#life.note('host gives the disk back', node);
  }

  #any(condition: (node: SimulatedNode) => boolean = () => true): SimulatedNode | undefined {
    const found = this.#network.nodes.filter(condition);
    return found[this.#dice.below(found.length)];
  }
}
