import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { decodeKeyslotFile } from '../../src/keyslots/keyslot-codec.ts';
import type { Generation } from '../../src/keyslots/keyslot-file.ts';
import type { LogHead } from '../../src/store/api/log-head.ts';
import { KEYSLOTS, type SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';
import type { Exchange } from './simulated-network-wire.ts';

const NAMESPACE = 'witness';
/** A write that began so long after an answer was there saw what the answer said, in milliseconds. */
const REACTION_MS = 100;
/** Answers of these are under a MAC and show a client what the server knows of the account. */
const lookingPaths: ReadonlySet<string> = new Set([
  '/claim',
  '/forget',
  '/key-status',
  '/lineage-status',
  '/lineage-update',
  '/reserve',
]);
/** Requests of these show a server the mark of the client. */
const showingPaths: ReadonlySet<string> = new Set(['/claim', '/key-status', '/lineage-update']);

/** A mark as it goes over the wire. */
interface Mark {
  readonly number: number;
  readonly bootId: string;
}

/** A log head that a server took. */
interface TakenHead {
  readonly by: Instance;
  readonly atMs: number;
  readonly generation: number | undefined;
  readonly sequence: number;
}

/** What one process of a server was told; gone with it. */
class Told {
  /** By account: the newest mark, and whose it is. */
  readonly marks = new Map<string, { readonly mark: Mark; readonly of: Instance }>();
  readonly heads: TakenHead[] = [];
}

/** One process of one machine. */
interface Instance {
  readonly name: string;
  readonly node: SimulatedNode;
  readonly boots: number;
  /** The keyslot file with which it began. */
  readonly keyslots: Uint8Array | undefined;
  readonly told: Told;
  /** Machines that gave it the key of a slot that it had. */
  readonly granted: Set<SimulatedNode>;
  mark: Mark | undefined;
  /** When it first reserved a number or showed its mark after a recovery. */
  claimedMs: number | undefined;
  openedMs: number | undefined;
  firstWriteMs: number | undefined;
  /** Newer marks of others that an honest server could show to it. */
  readonly seen: NewerMark[];
  /** The server once invented marks or gave wrong keys. */
  lied: boolean;
}

/** A newer mark, as one process was shown it. */
interface NewerMark {
  readonly mark: Mark;
  readonly of: Instance;
  readonly server: string;
  readonly sinceMs: number;
}

/** A write that a store acknowledged. */
interface Stamp {
  readonly name: string;
  readonly account: string;
  readonly by: Instance;
  /** Head of the log right after it. */
  readonly head: LogHead;
}

/**
 * Writes into the stores of a network, and knows from the wire what servers were told. Two invariants, whatever hosts
 * do: an instance that has looked at an honest server that knows of a newer writing instance writes no more; and no
 * store takes a write that lacks an earlier one which t servers of the generation that opened it were told of.
 */
export class Witness {
  readonly #network: SimulatedNetwork;
  readonly #instances = new Map<SimulatedNode, Instance>();
  readonly #stamps: Stamp[] = [];
  /** The newest mark ever shown to any server, by account. */
  readonly #newest = new Map<string, { readonly mark: Mark; readonly by: Instance }>();
  /** What a served answer tells its client, until it arrives. */
  readonly #news = new WeakMap<Exchange, Omit<NewerMark, 'sinceMs'>>();

  constructor(network: SimulatedNetwork) {
    this.#network = network;
    network.world.wire.observers.add({
      served: (exchange) => this.#served(exchange),
      delivered: (exchange) => this.#delivered(exchange),
    });
  }

  /** A process of a machine starts. */
  started(node: SimulatedNode): void {
    this.#instances.set(node, {
      name: `${node.name}#${node.boots}`,
      node,
      boots: node.boots,
      keyslots: node.disk.files().get(KEYSLOTS),
      told: new Told(),
      granted: new Set(),
      mark: undefined,
      claimedMs: undefined,
      openedMs: undefined,
      firstWriteMs: undefined,
      seen: [],
      lied: false,
    });
  }

  /** A process has opened its store. */
  opened(node: SimulatedNode): void {
    const instance = this.#instances.get(node);
    if (instance !== undefined) instance.openedMs = this.#now();
  }

  /** A server begins to lie; nothing that its process says or was told counts any more. */
  lies(node: SimulatedNode): void {
    const instance = this.#instances.get(node);
    if (instance !== undefined) instance.lied = true;
  }

  /** Whether another machine has claimed the account of this one under a newer mark. */
  hasNewerInstance(node: SimulatedNode): boolean {
    const own = this.#instances.get(node)?.mark;
    const account = accountOf(node);
    if (own === undefined || account === undefined) return false;
    const newest = this.#newest.get(account);
    return newest !== undefined && newest.by.node !== node && compareMarks(newest.mark, own) > 0;
  }

  /** Why a machine's process must not write any more, as far as the wire shows. */
  mustStop(node: SimulatedNode): string | undefined {
    const instance = this.#instances.get(node);
    return instance === undefined ? undefined : this.#whyStop(instance, this.#now());
  }

  /** How many servers that run were told of a head that covers the last write of a machine's process. */
  serversTold(node: SimulatedNode): number {
    const last = this.#stamps.findLast(({ by }) => by.node === node);
    if (last === undefined) return 0;
    return this.#network.nodes.filter((server) => this.#wasTold(server, last, Number.POSITIVE_INFINITY))
      .length;
  }

  /** Writes one record into a machine's store; false when the store takes no writes. */
  async write(node: SimulatedNode): Promise<boolean> {
    const [instance, { open }] = [this.#instances.get(node), node];
    if (instance === undefined || open === undefined) return false;
    const startedMs = this.#now();
    const name = `${this.#stamps.length}`;
    const values = await open.store
      .namespace(NAMESPACE)
      .then(async (namespace) => {
        await namespace.put(name, new Uint8Array(8));
        return namespace;
      })
      .catch(() => undefined);
    if (values === undefined) return false;
    const account = encodeSs58(open.identity.account);
    this.#requireRightToWrite(instance, startedMs);
    if (instance.firstWriteMs === undefined)
      this.#requireWholeStore(instance, account, (known) => values.has(known));
    instance.firstWriteMs ??= startedMs;
    this.#stamps.push({ name, account, by: instance, head: open.store.head() });
    return true;
  }

  /** Writes into every store that takes writes. */
  async writeAll(): Promise<void> {
    for (const node of this.#network.nodes) await this.write(node);
  }

  #requireRightToWrite(instance: Instance, startedMs: number): void {
    const why = this.#whyStop(instance, startedMs - REACTION_MS);
    if (why === undefined) return;
    const violation = `${instance.name} writes, though ${why}`;
    if (!this.#network.world.violations.includes(violation)) this.#network.world.fail(violation);
  }

  /** A boot that finds a newer mark before it holds the account may begin again, above that mark. */
  #whyStop({ seen, mark }: Instance, atMs: number): string | undefined {
    const newer = seen.find(
      (other) =>
        (mark === undefined || compareMarks(other.mark, mark) > 0) &&
        Math.max(other.sinceMs, other.of.firstWriteMs ?? Number.POSITIVE_INFINITY) < atMs,
    );
    return newer && `${newer.server} has answered it and knows of ${newer.of.name}, which writes`;
  }

  #requireWholeStore(instance: Instance, account: string, has: (name: string) => boolean): void {
    const generations = openedBy(instance, (generation) => this.#serversOf(generation));
    if (generations.length === 0) return;
    const untilMs = instance.claimedMs ?? instance.openedMs ?? 0;
    for (const stamp of this.#stamps) {
      if (stamp.account !== account || stamp.by === instance || has(stamp.name)) continue;
      const tellers = (generation: Generation) =>
        this.#serversOf(generation).filter((server) => this.#wasTold(server, stamp, untilMs));
      // It may have been opened by any of them: then all of them must know.
      if (!generations.every((generation) => tellers(generation).length >= generation.t)) continue;
      const [known] = generations;
      const names = known === undefined ? '' : tellers(known).map(({ name }) => name);
      this.#network.world.fail(
        `${instance.name} writes on a store that lacks write ${stamp.name} of ${stamp.by.name}, which ${names} were told of`,
      );
      return;
    }
  }

  #wasTold(server: SimulatedNode, { by, head }: Stamp, untilMs: number): boolean {
    const instance = this.#instances.get(server);
    if (instance === undefined || instance.lied || !server.isRunning) return false;
    return instance.told.heads.some(
      (taken) =>
        taken.by === by &&
        taken.atMs < untilMs &&
        ((taken.generation !== undefined && taken.generation > head.generation) ||
          taken.sequence >= head.sequence),
    );
  }

  #serversOf({ slots }: Generation): SimulatedNode[] {
    const accounts = new Set(slots.map(({ server }) => encodeSs58(server)));
    return this.#network.nodes.filter((node) => {
      // Of two machines with one account the servers' clients reach the one on the chain.
      const record = this.#network.records.get(node);
      return record !== undefined && accounts.has(encodeSs58(record.account));
    });
  }

  #served(exchange: Exchange): void {
    const { from, endpoint, path, body, answer } = exchange;
    const client = this.#instanceNamed(from);
    if (client === undefined) return;
    if (path === '/claim' || path === '/reserve') client.claimedMs ??= this.#now();
    if (showingPaths.has(path)) this.#noteMark(client, body);
    const server = this.#honestAt(endpoint);
    if (server === undefined || answer.status !== 200 || !exchange.served) return;
    const account = textIn(body, 'accountId');
    if (account === undefined) return;
    if (showingPaths.has(path) && showsState(answer.body)) this.#learn(server, client, account);
    const known = server.told.marks.get(account);
    const isNewer =
      known !== undefined && client.mark !== undefined && compareMarks(known.mark, client.mark) > 0;
    if (!isNewer) this.#take(server, client, account, body);
    else if (lookingPaths.has(path)) this.#news.set(exchange, { ...known, server: server.name });
  }

  /** Also a server that lies may pass a mark on. */
  #noteMark(client: Instance, body: unknown): void {
    const [mark, account] = [markIn(body), textIn(body, 'accountId')];
    if (mark === undefined || account === undefined) return;
    client.mark = mark;
    const newest = this.#newest.get(account);
    if (newest === undefined || compareMarks(mark, newest.mark) > 0)
      this.#newest.set(account, { mark, by: client });
  }

  #learn(server: Instance, client: Instance, account: string): void {
    const { mark } = client;
    if (mark === undefined) return;
    const known = server.told.marks.get(account);
    if (known === undefined || compareMarks(mark, known.mark) > 0)
      server.told.marks.set(account, { mark, of: client });
  }

  #take(server: Instance, client: Instance, account: string, body: unknown): void {
    const head = objectIn(body, 'head');
    const sequence = numberIn(head, 'sequence');
    if (sequence === undefined || server.told.marks.get(account)?.of !== client) return;
    const generation = numberIn(head, 'generation');
    server.told.heads.push({ by: client, atMs: this.#now(), generation, sequence });
  }

  #delivered(exchange: Exchange): void {
    const { from, endpoint, path, body, answer } = exchange;
    const client = this.#instanceNamed(from);
    const server = this.#honestAt(endpoint);
    if (client === undefined || server === undefined || answer.status !== 200) return;
    const isRecovery = path === '/request-encryption-key' && textIn(body, 'intent') === 'recover';
    if (isRecovery) client.granted.add(server.node);
    const news = this.#news.get(exchange);
    if (news !== undefined) client.seen.push({ ...news, sinceMs: this.#now() });
  }

  #instanceNamed(name: string): Instance | undefined {
    const node = this.#network.nodes.find((candidate) => candidate.name === name);
    return node?.isRunning === true ? this.#instances.get(node) : undefined;
  }

  /** The process that truly answers at an address, unless it or the host lies. */
  #honestAt(endpoint: string): Instance | undefined {
    const behaviour = this.#network.world.wire.misbehaviour.get(endpoint) ?? 'none';
    if (behaviour !== 'none' && behaviour !== 'slow') return undefined;
    const node = this.#network.nodes.find(
      (candidate) => candidate.isRunning && candidate.endpoint === endpoint,
    );
    const instance = node === undefined ? undefined : this.#instances.get(node);
    return instance?.lied === true ? undefined : instance;
  }

  #now(): number {
    return this.#network.world.clock.nowMs();
  }
}

/** The generations of its keyslot file by which a process can have opened its store. */
function openedBy(
  { keyslots, granted }: Instance,
  serversOf: (generation: Generation) => readonly SimulatedNode[],
): readonly Generation[] {
  if (keyslots === undefined) return [];
  try {
    return decodeKeyslotFile(keyslots).generations.filter(
      (generation) => serversOf(generation).filter((server) => granted.has(server)).length >= generation.t,
    );
  } catch {
    return [];
  }
}

/** An answer that shows no state of the account was given for a slot of which the server knows no more. */
const showsState = (answer: unknown): boolean =>
  objectIn(answer, 'lineage') !== undefined || numberIn(answer, 'incarnation') !== undefined;

const compareMarks = (a: Mark, b: Mark): number =>
  a.number - b.number || (a.bootId < b.bootId ? -1 : a.bootId > b.bootId ? 1 : 0);

function markIn(body: unknown): Mark | undefined {
  const [number, bootId] = [numberIn(body, 'incarnation'), textIn(body, 'bootId')];
  return number === undefined || bootId === undefined ? undefined : { number, bootId };
}

const partOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

function textIn(value: unknown, name: string): string | undefined {
  const part = partOf(value, name);
  return typeof part === 'string' ? part : undefined;
}

function numberIn(value: unknown, name: string): number | undefined {
  const part = partOf(value, name);
  return typeof part === 'number' ? part : undefined;
}

function objectIn(value: unknown, name: string): object | undefined {
  const part = partOf(value, name);
  return typeof part === 'object' && part !== null ? part : undefined;
}

const accountOf = ({ open }: SimulatedNode): string | undefined =>
  open === undefined ? undefined : encodeSs58(open.identity.account);
