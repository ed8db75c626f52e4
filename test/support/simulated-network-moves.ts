import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { parseQuote } from '../../src/tdx/quote.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { parseTrustSection, type TrustSection } from '../../src/trust/trust-section.ts';
import { type Dice, seededDice } from './disk-dice.ts';
import { FleetOperators, sectionUnder } from './fleet-story.ts';
import { AuthorityWorld } from './fleet-world.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';
import type { Exchange } from './simulated-network-wire.ts';
import { bodyUnder } from './simulated-network-world.ts';

/** The delay of the authority: so short that what a quiet stretch begins with is in force before it ends. */
export const MOVE_DELAY_MS = 10_000;
/** After it, what was published is in force at every node that hears it: a look at the sources, and a block. */
const SURELY_MS = MOVE_DELAY_MS + 40_000;

/** Longer than the interval at which nodes ask for manifests. */
const HEARD_MS = 10_000;
/** How long operators wait for a machine that they have upgraded. */
const PATIENCE_MS = 60_000;

const authority = new AuthorityWorld('fleet that moves');

/** What a machine runs: a trust section and an image, by number. */
interface Release {
  readonly trust: TrustSection;
  readonly image: number;
}

/** What a manifest permits: trust sections and images (`0x` hex), each with the time of its first manifest. */
interface Permitted {
  readonly trustHashes: ReadonlyMap<string, number>;
  readonly measurements: ReadonlyMap<string, number>;
}

/** What the schedule does with machines. */
interface Life {
  readonly note: (what: string, node?: SimulatedNode) => void;
  readonly down: (node: SimulatedNode) => Promise<void>;
  readonly up: (node: SimulatedNode) => void;
}

const sectionOf = (number: number): TrustSection => {
  const section = sectionUnder(authority, {}, number);
  return parseTrustSection({ ...section, authority: { ...section.authority, delayMs: MOVE_DELAY_MS } });
};

/** The trust section with which a fleet that moves begins. */
export const firstSection = sectionOf(0);

/**
 * A fleet that moves from release to release while everything else happens to it: a manifest that permits both, the
 * machines one after the other, and a manifest without the former.
 *
 * Invariant 14: a server gives a key only to a machine whose section and image are its own, or stand in the manifest that it
 * took last, and have done so for the delay.
 */
export class MovingFleet {
  readonly #network: SimulatedNetwork;
  readonly #dice: Dice;
  readonly #operators: FleetOperators;
  /** By serial, from 1 on. */
  readonly #published: Permitted[] = [];
  #publishedMs = 0;
  #present: Release = { trust: firstSection, image: 0 };
  #next: Release | undefined;
  #former: Release | undefined;
  #releases = 1;
  /** How often the whole fleet has moved. */
  moves = 0;

  constructor(network: SimulatedNetwork) {
    this.#network = network;
    this.#dice = seededDice(network.world.seed + 7_000_003);
    this.#operators = new FleetOperators(network, authority);
    network.world.onPower = (node) => this.#assign(node);
    network.mayTalk = (one, other) => this.#mayTalk(one, other);
    network.world.wire.observers.add({
      served: (exchange) => this.#requirePermitted(exchange),
      delivered: () => undefined,
    });
    // Other fleets begin before they have a manifest.
    if (this.#dice.chance(0.5)) this.#publish([this.#present]);
  }

  /** The releases of a manifest. A fault of the operators would be to forget one. */
  listed(releases: readonly Release[]): readonly Release[] {
    return releases;
  }

  /** The next steps of the operators, or none. */
  async act(life: Life): Promise<void> {
    if (this.#next === undefined && this.#dice.chance(0.8)) await this.#announce(life);
    const release = this.#next;
    if (release === undefined || !this.#isSure()) return;
    const left = this.#network.nodes.filter((node) => node.isRunning && !runs(node, release));
    for (const node of left) {
      // One machine that is not ready may stay so for good; with two the operators wait.
      const others = this.#network.nodes.filter((other) => other !== node);
      if (others.filter(({ state }) => state.name !== 'backed').length > 1) break;
      if (!(await this.#restart(node, release, life))) break;
    }
    if (this.#network.nodes.some((node) => node.isRunning && !runs(node, release))) return;
    this.#finish(release, life);
    if (this.#dice.chance(0.3)) return;
    // When all have heard that it is over.
    await this.#network.settle(HEARD_MS);
    await this.trick(life, this.#former);
  }

  /** A host starts its machine with a release that the fleet has given up, or has not come to. */
  async trick(life: Life, release = this.#dice.chance(0.5) ? this.#former : this.#later()): Promise<void> {
    const running = this.#network.nodes.filter(({ isRunning }) => isRunning);
    const node = running[this.#dice.below(running.length)];
    if (release === undefined || node === undefined || this.#network.tampered.has(node)) return;
    await life.down(node);
    this.#network.tampered.set(node, 'runs another release');
    life.note('host starts another release', node);
    set(node, release);
    node.start();
  }

  /** A host shows its machine the manifests of now and no later ones; or all of them again. */
  hide(life: Life): void {
    const { world, nodes } = this.#network;
    const before = world.hidesManifests;
    const node = nodes[this.#dice.below(nodes.length)];
    if (node === undefined) return;
    const text = before(node.name) === undefined ? (world.manifestsFor(node.name) ?? '') : undefined;
    world.hidesManifests = (machine) => (machine === node.name ? text : before(machine));
    life.note(text === undefined ? 'sees all manifests again' : 'sees no newer manifest', node);
  }

  /** Ends what hosts do to manifests. What is announced comes to its end. */
  async makePeace(life: Life): Promise<void> {
    const { world, nodes } = this.#network;
    world.hidesManifests = () => undefined;
    const release = this.#next;
    if (release !== undefined) await this.#network.settle(SURELY_MS);
    for (const node of nodes)
      if (node.isRunning && !runs(node, release ?? this.#present))
        await this.#restart(node, release ?? this.#present, life);
    if (release !== undefined) this.#finish(release, life);
  }

  async #announce(life: Life): Promise<void> {
    const { trust, image } = this.#present;
    const number = this.#releases++;
    const what = this.#dice.pick(['section', 'image', 'both'] as const);
    this.#next = {
      trust: what === 'image' ? trust : sectionOf(number),
      image: what === 'section' ? image : number,
    };
    this.#publish(this.listed([this.#present, this.#next]));
    life.note(`the fleet announces another ${what}`);
    const running = this.#network.nodes.filter((node) => node.isRunning && !this.#network.tampered.has(node));
    const first = running[this.#dice.below(running.length)];
    // Somebody cannot wait: one machine begins with what is not in force.
    if (first !== undefined && this.#dice.chance(0.4)) await this.#restart(first, this.#next, life);
  }

  #finish(release: Release, life: Life): void {
    this.#former = this.#present;
    this.#present = release;
    this.#next = undefined;
    this.moves++;
    this.#publish([release]);
    life.note('the fleet has moved');
  }

  /** A release that no manifest has ever named. */
  #later(): Release {
    return { trust: sectionOf(1_000), image: 200 };
  }

  /** @returns whether the machine was ready again within the patience of the operators. */
  async #restart(node: SimulatedNode, release: Release, life: Life): Promise<boolean> {
    const wasOpen = node.open !== undefined;
    await life.down(node);
    set(node, release);
    life.note('upgraded', node);
    node.start();
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 5_000) {
      if (node.state.name === 'backed' && node.serving?.formerClients.pending === 0) return true;
      await this.#network.settle(5_000);
    }
    // A store that was locked before does not hold the others up.
    return !wasOpen;
  }

  /** Whatever starts a machine: once a release is sure to be accepted, it may begin with that one. */
  #assign(node: SimulatedNode): void {
    if (this.#network.tampered.get(node) === 'runs another release') return;
    const isEarly = this.#next === undefined || !this.#isSure() || this.#dice.chance(0.5);
    const release = isEarly ? this.#present : (this.#next ?? this.#present);
    // An upgrade is not taken back.
    if (this.#next === undefined || !runs(node, this.#next)) set(node, release);
  }

  #isSure(): boolean {
    return this.#network.world.clock.nowMs() >= this.#publishedMs + SURELY_MS;
  }

  #publish(releases: readonly Release[]): void {
    const nowMs = this.#network.world.clock.nowMs();
    const before = this.#published.at(-1);
    const since = (known: ReadonlyMap<string, number> | undefined, names: readonly string[]) =>
      new Map(names.toSorted().map((name) => [name, known?.get(name) ?? nowMs]));
    const bodies = releases.map(({ trust, image }) => bodyUnder(trust, image));
    const permitted = {
      trustHashes: since(
        before?.trustHashes,
        bodies.map(({ mrConfigId }) => toPrefixedHex(mrConfigId)),
      ),
      measurements: since(
        before?.measurements,
        bodies.map((body) => toPrefixedHex(measurementId(body))),
      ),
    };
    this.#published.push(permitted);
    this.#publishedMs = nowMs;
    const manifest = this.#operators.sign({
      trustHashes: [...permitted.trustHashes].map(([hash, sinceMs]) => ({ hash, since: sinceMs })),
      measurements: [...permitted.measurements].map(([id, sinceMs]) => ({ id, since: sinceMs })),
    });
    this.#operators.publish([manifest]);
  }

  /** Whether two machines accept each other, whatever they have heard so far: by the plan of the operators. */
  #mayTalk(one: SimulatedNode, other: SimulatedNode): boolean {
    if (nameOf(one) === nameOf(other)) return true;
    if (!this.#isSure() || this.#next === undefined) return false;
    const { hidesManifests } = this.#network.world;
    if ([one, other].some(({ name }) => hidesManifests(name) !== undefined)) return false;
    const planned = [this.#present, this.#next].map(({ trust, image }) =>
      nameOfBody(bodyUnder(trust, image)),
    );
    return planned.includes(nameOf(one)) && planned.includes(nameOf(other));
  }

  #requirePermitted({ path, body, answer, served, endpoint, from }: Exchange): void {
    if (!served || path !== '/request-encryption-key' || answer.status !== 200) return;
    const account = text(answer.body, 'server');
    const servers = this.#network.nodes.filter(
      ({ open }) => open !== undefined && encodeSs58(open.identity.account) === account,
    );
    const server = servers.find((candidate) => candidate.endpoint === endpoint) ?? servers[0];
    const quote = parseQuote(new Uint8Array(Buffer.from(text(body, 'quote'), 'base64')));
    // A key is given back under the section under which it was made, whatever became of that.
    const keepsSection = text(body, 'intent') === 'recover';
    if (server === undefined || this.#permits(server, quote.body, keepsSection)) return;
    this.#network.world.fail(`${server.name} gave ${from} a key under a release that it may not accept`);
  }

  #permits(
    node: SimulatedNode,
    asked: Parameters<typeof measurementId>[0] & { readonly mrConfigId: Uint8Array },
    keepsSection = false,
  ): boolean {
    const serial = node.fleet?.report().manifest?.serial ?? 0;
    const { trustHashes, measurements } = this.#published[serial - 1] ?? none;
    const nowMs = this.#network.world.clock.nowMs();
    const isOver = (sinceMs: number | undefined) => sinceMs !== undefined && sinceMs + MOVE_DELAY_MS <= nowMs;
    const [hash, id] = [toPrefixedHex(asked.mrConfigId), toPrefixedHex(measurementId(asked))];
    const hasSection = keepsSection || hash === toPrefixedHex(node.body.mrConfigId);
    const hasImage = id === toPrefixedHex(measurementId(node.body));
    return (hasSection || isOver(trustHashes.get(hash))) && (hasImage || isOver(measurements.get(id)));
  }
}

const none: Permitted = { trustHashes: new Map(), measurements: new Map() };

const nameOfBody = (body: ReturnType<typeof bodyUnder>): string =>
  `${toPrefixedHex(body.mrConfigId)} ${toPrefixedHex(measurementId(body))}`;
const nameOf = ({ body }: SimulatedNode): string => nameOfBody(body);
const runs = (node: SimulatedNode, { trust, image }: Release): boolean =>
  node.trust === trust && node.image === image;

function set(node: SimulatedNode, { trust, image }: Release): void {
  node.trust = trust;
  node.image = image;
}

/** A text field of a message; empty where there is none. */
const text = (message: unknown, field: string): string =>
  typeof message === 'object' && message !== null && field in message
    ? String((message as Record<string, unknown>)[field])
    : '';
