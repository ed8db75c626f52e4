import { decodeRequest } from '../../src/custody/request.ts';
import { custodySetOf } from '../../src/trust/custody-set.ts';
import { parseTrustSection, type TrustSection } from '../../src/trust/trust-section.ts';
import {
  answerTo,
  custodians,
  custodyOf,
  knowledgeIn,
  laterCustodians,
  lyingAnswerTo,
  type TestCustodian,
} from './custodians.ts';
import { Dice } from './dice.ts';
import { survivals } from './disk-survival.ts';
import { formedNetwork, restart } from './formed-network.ts';
import type { SimulatedDisk } from './simulated-disk.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';
import { defaultTrust } from './simulated-network-world.ts';

/** Everybody who may be a custodian. */
const everybody: readonly TestCustodian[] = [...custodians, ...laterCustodians];
/** Sizes of networks; the small ones are cheap, and four machines are the least without `bootstrap`. */
const SIZES = [4, 4, 4, 4, 5, 6];

/** What a series of total blackouts of one network came to. */
export interface BlackoutResult {
  readonly blackouts: number;
  /** Stores that went through a blackout, added up over all blackouts. */
  readonly stores: number;
  /** Stores that were not open and backed again after a blackout. */
  readonly lost: number;
  /** How often each thing happened on the way. */
  readonly events: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
}

/** All processes end at once, so that no server has any key left; then all machines start again. */
export async function blackOut(
  net: SimulatedNetwork,
  between: () => void = () => undefined,
  kill: (node: SimulatedNode) => Promise<void> = (node) => node.kill(),
): Promise<void> {
  for (const node of net.nodes) await net.world.clock.until(kill(node));
  between();
  for (const node of net.nodes) node.start();
  await net.settle(20_000);
}

/** The custodians of a network, drawn: 2 to 5 of them, and a threshold. */
function drawSection(dice: Dice): TrustSection {
  const members = dice.shuffled(everybody).slice(0, 2 + dice.below(4));
  const threshold = 2 + dice.below(members.length - 1);
  return parseTrustSection({ ...defaultTrust, custody: custodyOf(threshold, members) });
}

/**
 * Total blackouts of one network, one after another. Drawn by the seed: machines, custodians and their threshold; changes
 * of the custodians before a blackout, with and without a new store key; what a power cut leaves of the disks; which
 * custodians answer, in which order, and which of them lie; processes that end between two answers; older disks.
 * @param hasCustody without it no custodian is asked.
 */
export async function seriesOfBlackouts(
  seed: number,
  count: number,
  hasCustody: boolean,
): Promise<BlackoutResult> {
  const dice = new Dice(seed);
  const section = hasCustody ? drawSection(dice) : undefined;
  const { net } = await formedNetwork(seed, dice.of(SIZES), section);
  const series = new Series(net, dice);
  let lost = 0;
  let blackouts = 0;
  while (blackouts < count && lost === 0) {
    blackouts++;
    lost = await series.one(hasCustody);
  }
  await net.close();
  const { events } = series;
  return { blackouts, stores: blackouts * net.nodes.length, lost, events, violations: net.world.violations };
}

class Series {
  readonly #net: SimulatedNetwork;
  readonly #dice: Dice;
  /** Disks from before: a host may put one of them back. */
  readonly #oldDisks = new Map<SimulatedNode, SimulatedDisk>();
  readonly events: Record<string, number> = {};

  constructor(net: SimulatedNetwork, dice: Dice) {
    this.#net = net;
    this.#dice = dice;
  }

  /** @returns how many stores are not open and backed again. */
  async one(hasCustody: boolean): Promise<number> {
    if (hasCustody && this.#dice.oneIn(5)) await this.#changeCustodians();
    await this.#writeSomething();
    await this.#cutPower();
    if (hasCustody) {
      for (const node of this.#dice.shuffled(this.#net.nodes)) await this.#open(node);
    }
    const isBacked = ({ state }: SimulatedNode): boolean => state.name === 'backed';
    for (let left = 6; left > 0 && !this.#net.nodes.every(isBacked); left--) await this.#net.settle(30_000);
    if (hasCustody) this.#net.check();
    return this.#net.nodes.filter((node) => !isBacked(node)).length;
  }

  #note(event: string): void {
    this.events[event] = (this.events[event] ?? 0) + 1;
  }

  async #changeCustodians(): Promise<void> {
    const { world, nodes } = this.#net;
    this.#note('custodians changed');
    world.changedCustody = { set: custodySetOf(drawSection(this.#dice)) };
    for (const node of nodes) {
      await restart(this.#net, node);
      await this.#net.settle(30_000);
    }
    if (!this.#dice.oneIn(2)) return;
    for (const node of nodes.filter(({ state }) => state.name === 'backed')) {
      await world.clock.until(node.rotateStoreKey());
      this.#note('store key changed');
    }
    await this.#net.settle(30_000);
  }

  /** One more record in one store: its disk of before is then an older one. */
  async #writeSomething(): Promise<void> {
    const node = this.#dice.of(this.#net.nodes);
    this.#oldDisks.set(node, node.disk.clone());
    await this.#net.world.clock.until(this.#net.witness.write(node));
  }

  async #cutPower(): Promise<void> {
    const survival = this.#dice.of(survivals);
    const old = this.#dice.oneIn(4) ? this.#dice.of([...this.#oldDisks]) : undefined;
    const putBack = (): void => {
      if (old === undefined) return;
      const [node, disk] = old;
      this.#note('older disk');
      node.disk = disk.clone().afterKill();
      this.#net.tampered.set(node, 'an older disk');
    };
    await blackOut(this.#net, putBack, (node) => node.kill(survival, this.#dice.below(2 ** 31)));
  }

  async #open(node: SimulatedNode): Promise<void> {
    // It may have opened before, and what it showed then is what it asks for now.
    for (let attempt = 0; node.state.name === 'locked'; attempt++) {
      const isCut = attempt < 2 && this.#dice.oneIn(8);
      if (await this.#askOnce(node, isCut)) return;
      this.#note('process ended between answers');
      await restart(this.#net, node);
      await this.#net.settle(10_000);
    }
  }

  /** @returns whether enough answers were given; false when the process is to end before. */
  async #askOnce(node: SimulatedNode, isCut: boolean): Promise<boolean> {
    const { clock } = this.#net.world;
    const request = await clock.until(node.custody.request());
    const { parts, threshold } = decodeRequest(request);
    const named = this.#dice.shuffled(
      parts.map(({ custodian }) => everybody.find(({ name }) => name === custodian)),
    );
    const honest = named.slice(0, isCut ? threshold - 1 : threshold);
    const liars = named.slice(threshold).filter(() => this.#dice.oneIn(2));
    for (const _liar of liars) this.#note('custodian lied');
    for (const _other of named.slice(threshold + liars.length)) this.#note('custodian did not answer');
    const answers = this.#dice.shuffled([
      ...honest.map((one) => this.#answer(request, one, answerTo)),
      ...liars.map((one) => this.#answer(request, one, lyingAnswerTo)),
    ]);
    const batches = this.#dice.oneIn(2) ? answers.map((answer) => [answer]) : [answers];
    for (const batch of batches) {
      const { opens } = await clock.until(node.custody.open(batch, false));
      if (opens) this.#note('store opened by custodians');
      if (opens) return true;
    }
    return false;
  }

  #answer(request: string, custodian: TestCustodian | undefined, make: typeof answerTo): string {
    if (custodian === undefined) throw new RangeError('a custodian without a key');
    return make(request, custodian, knowledgeIn(this.#net));
  }
}
