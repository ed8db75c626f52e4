import { toHex } from '../../../src/bytes/hex.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import type { FeldmanScheme } from '../../../src/epochs/feldman/feldman-scheme.ts';
import { decodeOutput } from '../../../src/epochs/feldman/round-view.ts';
import { type Dice, seededDice } from '../../support/disk-dice.ts';
import { schemeOf } from '../../support/dkg-members.ts';
import { VirtualScheduler } from '../../support/virtual-scheduler.ts';

export const BLOCK_MS = 100;
/** Blocks of one epoch; dealers finalize in the middle. */
export const EPOCH_BLOCKS = 20;

/** A log as the chain shows it. */
export interface ChainLog {
  readonly epoch: number;
  readonly dealer: Uint8Array;
  readonly log: Uint8Array;
}

/** What travels between nodes. */
export type Message =
  | {
      readonly kind: 'dealing';
      readonly epoch: number;
      readonly dealer: Uint8Array;
      readonly publicMessage: Uint8Array;
      readonly sealed: Uint8Array;
    }
  | { readonly kind: 'ack'; readonly epoch: number; readonly player: Uint8Array; readonly ack: Uint8Array };

/** How long a message travels, in virtual milliseconds. */
export interface Links {
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** 0 to 1. */
  readonly lossRate: number;
}

/**
 * All that the nodes share: the clock, a chain that never fails (consensus is not what is tested here), the links,
 * and an auditor that sees everything that leaves a node and stops the run at the first broken promise.
 */
export class World {
  readonly clock = new VirtualScheduler(0);
  readonly dice: Dice;
  readonly schemes: readonly FeldmanScheme[];
  readonly blocks: (readonly ChainLog[])[] = [];
  readonly receivers = new Map<number, (from: Uint8Array, message: Message) => void>();
  readonly #links: Links;
  #pool: ChainLog[] = [];
  readonly #included = new Set<string>();
  readonly #said = new Map<string, string>();
  readonly #outputs = new Map<number, { readonly hex: string; readonly round: number }>();
  readonly violations: string[] = [];

  constructor(seed: number, members: number, links: Links) {
    this.dice = seededDice(seed);
    this.#links = links;
    this.schemes = Array.from({ length: members }, (_, member) => schemeOf(member));
    this.#produceBlocks();
  }

  #produceBlocks(): void {
    this.clock.after(BLOCK_MS, () => {
      this.blocks.push(this.#pool);
      this.#pool = [];
      this.#produceBlocks();
    });
  }

  /** Puts a log into the next block, once per dealer and epoch, as the chain's own rules would. */
  submit(log: ChainLog): void {
    const name = `${log.epoch}/${toHex(log.dealer)}`;
    if (this.#included.has(name)) return;
    this.#included.add(name);
    this.#pool.push(log);
  }

  send(from: Uint8Array, to: Uint8Array, message: Message): void {
    this.#audit(from, to, message);
    const { latencyMs, jitterMs, lossRate } = this.#links;
    if (this.dice.chance(lossRate)) return;
    const member = this.schemes.findIndex(({ self }) => Buffer.compare(self.publicKey, to) === 0);
    const delay = latencyMs + (this.dice.next() * 2 - 1) * jitterMs;
    this.clock.after(delay, () => this.receivers.get(member)?.(from, message));
  }

  /** One dealer says one thing per epoch; one player acknowledges one dealing per dealer, by the same bytes. */
  #audit(from: Uint8Array, to: Uint8Array, message: Message): void {
    const [name, bytes] =
      message.kind === 'dealing'
        ? [`dealing ${message.epoch} ${toHex(from)} to ${toHex(to)}`, [message.publicMessage, message.sealed]]
        : [`ack ${message.epoch} ${toHex(from)} to ${toHex(to)}`, [message.ack]];
    const said = toHex(sha256(...bytes));
    if ((this.#said.get(name) ?? said) !== said) this.violations.push(`said two things: ${name}`);
    this.#said.set(name, said);
  }

  /** Acks that this player has sent in these epochs, as `epoch → dealers in hex`. */
  acksSentBy(player: Uint8Array, fromEpoch: number): { readonly epoch: number; readonly dealer: string }[] {
    return [...this.#said.keys()].flatMap((name) => {
      const [kind, epoch, sender, , dealer = ''] = name.split(' ');
      const mine = kind === 'ack' && sender === toHex(player) && Number(epoch) >= fromEpoch;
      return mine ? [{ epoch: Number(epoch), dealer }] : [];
    });
  }

  /** All nodes that enter an epoch do so with the same output, and the group's key never changes. */
  entered(epoch: number, round: number, output: Uint8Array | undefined): void {
    const hex = output === undefined ? '' : toHex(output);
    const known = this.#outputs.get(epoch);
    if (known !== undefined && (known.hex !== hex || known.round !== round))
      this.violations.push(`two outcomes of epoch ${epoch - 1}`);
    this.#outputs.set(epoch, { hex, round });
    const key = this.groupKey;
    if (output !== undefined && key !== undefined) {
      const mine = toHex(decodeOutput(output).commitment.constant.toBytes());
      if (mine !== key) this.violations.push(`epoch ${epoch} has another group key`);
    }
  }

  /** Hex of the group's public key, once there is one. */
  get groupKey(): string | undefined {
    for (const { hex } of this.#outputs.values()) {
      if (hex !== '')
        return toHex(decodeOutput(new Uint8Array(Buffer.from(hex, 'hex'))).commitment.constant.toBytes());
    }
    return undefined;
  }

  /** Successful rounds so far. */
  get rounds(): number {
    return Math.max(0, ...[...this.#outputs.values()].map(({ round }) => round));
  }

  get epochs(): number {
    return this.#outputs.size;
  }

  /** Everything that happened in the open, in one hash. */
  digest(): string {
    const said = [...this.#said].map(([name, bytes]) => `${name}=${bytes}`);
    const outputs = [...this.#outputs].map(([epoch, { hex, round }]) => `${epoch} ${round} ${hex}`);
    const logs = this.blocks.flatMap((block, height) =>
      block.map(({ log }) => `${height} ${toHex(sha256(log))}`),
    );
    return toHex(sha256(new TextEncoder().encode([...said, ...outputs, ...logs].join('\n'))));
  }
}
