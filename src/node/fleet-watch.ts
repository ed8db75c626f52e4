import type { FleetDesk } from '../agent/fleet-routes.ts';
import type { PeerRecord } from '../boot/peer/held-keys.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ChainView } from '../chain/chain-view.ts';
import type { Config } from '../config/schema.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { endingSoon } from '../fleet/ends-soon.ts';
import { FleetKeeper } from '../fleet/fleet-keeper.ts';
import type { FleetState } from '../fleet/fleet-state.ts';
import type { FleetTime } from '../fleet/fleet-time.ts';
import { type FleetInForce, ownStartMs } from '../fleet/in-force.ts';
import {
  isHandover,
  type ManifestFile,
  manifestsOf,
  readManifestList,
  writeManifestList,
} from '../fleet/manifest-file.ts';
import type { FleetFacts } from '../keyserver/judge.ts';
import { type Extensions, FLEET_EXTENSION, noExtensions } from '../protocol/extensions.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';
import type { Clock } from '../time/clock.ts';
import type { FleetAuthority } from '../trust/fleet-authority.ts';
import { PlatformLists } from '../trust/platform-lists.ts';
import { DAY_MS } from '../trust/section-values.ts';
import type { ChainWatch } from './chain-watch.ts';
import { type FleetReport, fleetReport } from './fleet-report.ts';
import { type FleetSourceParts, FleetSources } from './fleet-sources.ts';
import type { NodeParts } from './parts.ts';
import { ShownHeaders } from './shown-headers.ts';

const NAMESPACE = 'latchkey/fleet';
const STATE = 'state';
/** How often the time of the chain is looked for, before there is any. */
const UNTIMED_MS = 1_000;
/** How many entries that end soon are named in the log. */
const MOST_NAMED = 20;
/** How long a view of what is in force is used again: lists may have 10,000 entries, and each request is judged. */
const VIEW_FOR_MS = 1_000;

/** The parts of a fleet watch. */
export interface FleetWatchParts extends Omit<FleetSourceParts, 'chain'> {
  readonly authority: FleetAuthority;
  /** Hash of block 0, 32 bytes. */
  readonly network: Uint8Array;
  readonly chain: Pick<ChainWatch, 'time' | 'endpoints' | 'take'>;
  readonly clock: Clock;
  /** Called after something new was taken. */
  readonly onChange?: () => void;
}

/** A manifest, and where it came from. */
interface Shown {
  readonly source: string;
  readonly file: ManifestFile;
}

type PublishedManifests = Awaited<ReturnType<FleetDesk['publish']>>;

/** Keeps the manifests of the fleet: asks for them, remembers them in the sealed store, and hands them on. */
export class FleetWatch implements FleetFacts, FleetDesk {
  readonly #parts: FleetWatchParts;
  readonly #keeper: FleetKeeper;
  readonly #sources: FleetSources;
  readonly #shown: ShownHeaders;
  readonly #views = new Map<string, { readonly value: FleetInForce; readonly at: FleetTime }>();
  readonly #lists = new WeakMap<FleetInForce, PlatformLists>();
  /** The whole answer of a state: it may have 11 MB, and anybody may ask for it. */
  readonly #answers = new WeakMap<FleetState, ReturnType<typeof writeManifestList>>();
  #reported: { readonly of: readonly unknown[]; readonly value: FleetReport } | undefined;
  #namespace: Namespace | undefined;
  /** Whether the store did not take the last record; it is tried again at every interval. */
  #isUnsaved = false;
  /** While it is not aborted, a newer header that a server shows makes this node ask for its manifest. */
  #asksUntil: AbortSignal | undefined;
  #warnAgainMs = 0;

  constructor(parts: FleetWatchParts) {
    this.#parts = parts;
    this.#keeper = new FleetKeeper(parts.authority, parts.network);
    this.#sources = new FleetSources(parts);
    this.#shown = new ShownHeaders(this.#keeper, parts.log);
  }

  granting(): FleetInForce {
    return this.#view('granting');
  }

  asking(): FleetInForce {
    return this.#view('asking');
  }

  enrolling(): FleetInForce {
    return this.#view('enrolling');
  }

  /** What it says about platforms: of machines that ask, of servers that have a slot, or of those that get one. */
  platforms(purpose: keyof FleetFacts): PlatformLists {
    const now = this.#view(purpose);
    const lists = this.#lists.get(now) ?? new PlatformLists(now);
    this.#lists.set(now, lists);
    return lists;
  }

  /** The signed header of the newest manifest, for grants and answers. */
  extensions(): Extensions {
    const { last } = this.#keeper;
    return last === undefined ? noExtensions : new Map([[FLEET_EXTENSION, last.header.signed]]);
  }

  /** Answer of `GET /fleet`. @param known name of all that the asker has, see {@link FleetKeeper.known}. */
  answer(known: string | undefined): ReturnType<typeof writeManifestList> {
    if (known !== undefined && known === this.#known()) return { manifests: [] };
    const { state } = this.#keeper;
    const answer = this.#answers.get(state) ?? writeManifestList(this.#keeper.files());
    this.#answers.set(state, answer);
    return answer;
  }

  /**
   * Looks at what a server says in a grant, or in an answer with a MAC. A newer header stops new trust until its manifest is
   * here, and the server that showed it is asked for it at once. Nothing that a server says stops anything else.
   * @param server endpoint and account of the server.
   */
  hear(server: Pick<PeerRecord, 'account' | 'endpoint'>, extensions: Extensions): void {
    const signed = extensions.get(FLEET_EXTENSION);
    if (signed === undefined) return;
    const finding = this.#shown.judge(encodeSs58(server.account), signed, this.#time());
    if (finding === 'known') return;
    this.#views.clear();
    void this.#save();
    this.#parts.onChange?.();
    const signal = this.#asksUntil;
    if (finding === 'conflict' || signal === undefined || signal.aborted) return;
    void this.refresh(signal, server.endpoint);
  }

  /**
   * Takes manifests that somebody hands in on this machine, as from any source.
   * @returns what became of each, in their order.
   * @param json as {@link writeManifestList} gave it, or of one manifest file.
   * @throws EvidenceError FLEET_FILE_MALFORMED when it holds no manifests; ProblemError CHAIN_UNAVAILABLE before the time
   *   of the chain is known.
   */
  async publish(json: unknown): Promise<PublishedManifests> {
    if (this.#time().chainMs === 0)
      throw new ProblemError('CHAIN_UNAVAILABLE', 'the time of the chain is not known yet', {
        hint: 'manifests are judged by it; publish again when the node has read the chain',
      });
    const before = this.#keeper.state;
    const results = manifestsOf(json).map((file) => this.#publishOne(file));
    if (this.#keeper.state !== before) await this.#changed();
    const serial = this.#keeper.last?.serial;
    return { manifests: results, ...(serial === undefined ? {} : { serial }) };
  }

  #publishOne(file: ManifestFile): PublishedManifests['manifests'][number] {
    try {
      return { outcome: this.#keeper.take(file, this.#time()) ? 'taken' : 'known' };
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      const { code, message: detail, hint } = error;
      return { outcome: 'refused', code, detail, ...(hint === undefined ? {} : { hint }) };
    }
  }

  /**
   * When a permission of the newest manifest takes effect, by the time of the chain; `undefined` for one that is in none
   * or waits no more.
   */
  startOf(name: string): number | undefined {
    const atMs = ownStartMs(name, this.#keeper.state);
    return Number.isFinite(atMs) && atMs > this.#time().chainMs ? atMs : undefined;
  }

  /**
   * What an operator should know. It is made once for each state and block: strangers ask for it, and a manifest may have
   * 10,000 entries.
   * @param own SHA-256(PPID) of this machine, `0x` hex.
   */
  report(own?: string): FleetReport {
    const { behind } = this.#shown;
    const time = this.#time();
    const of = [this.#keeper.state, time.chainMs, own, behind] as const;
    if (this.#reported?.of.every((part, index) => part === of[index])) return this.#reported.value;
    const value = fleetReport(this.#keeper, time, { own, behind });
    this.#reported = { of, value };
    return value;
  }

  /**
   * Goes on with what the open store remembers, and writes nothing into it. A record that cannot be read is reported, and
   * locks no node.
   * @param isNew whether this process made the store.
   * @returns whether the servers that opened the store were judged by an older manifest than the store remembers.
   */
  async open(store: Pick<Store, 'namespace' | 'hasNamespace'>, isNew = false): Promise<boolean> {
    const record = store.hasNamespace(NAMESPACE)
      ? await (await store.namespace(NAMESPACE)).get(STATE)
      : undefined;
    const wasBehind = this.#remember(record, isNew);
    this.#views.clear();
    if (!wasBehind) return false;
    this.#parts.log('warn', 'fleet.was-behind', {
      message: 'the servers that opened this store were judged by an older manifest than the store remembers',
    });
    return true;
  }

  /** The store is closed again; goes on with what it remembered. */
  close(): void {
    this.#keeper.close();
    this.#namespace = undefined;
    this.#views.clear();
  }

  /** Keeps what it knows in a store that takes writes, from now on. */
  async record(store: Store): Promise<void> {
    this.#namespace = await store.namespace(NAMESPACE);
    await this.#save();
  }

  /** @returns whether the store remembers a newer manifest than the sources showed. */
  #remember(record: Uint8Array | undefined, isNew: boolean): boolean {
    try {
      return this.#keeper.open(record, this.#time(), isNew).wasBehind;
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      this.#parts.log('error', 'fleet.not-read', { code: error.code, detail: error.message });
      return this.#keeper.open(undefined, this.#time(), isNew).wasBehind;
    }
  }

  /** Asks all sources again and again. Resolves when the signal aborts. */
  async follow(everyMs: number, signal: AbortSignal): Promise<void> {
    this.#asksUntil = signal;
    while (!signal.aborted) {
      // Without the time of the chain no manifest can be judged, and no server is known.
      const isTimed = this.#time().chainMs > 0;
      if (isTimed) await this.refresh(signal);
      await this.#parts.clock.sleep(isTimed ? everyMs : Math.min(everyMs, UNTIMED_MS), signal);
    }
  }

  /** For a process that follows no chain: reads the servers first. */
  async refreshByChain(chain: ChainView, signal: AbortSignal): Promise<void> {
    this.#asksUntil = signal;
    const snapshot = await chain.snapshot().catch(() => undefined);
    if (snapshot === undefined) return;
    this.#parts.chain.take(snapshot);
    await this.refresh(signal);
  }

  /**
   * Asks all sources once. What a source says wrong is logged, and the others are asked.
   * @param first endpoint of a server that is asked in any case.
   */
  async refresh(signal: AbortSignal, first?: string): Promise<void> {
    const texts = await this.#sources.ask(this.#known(), signal, first);
    this.#warnOfEnds();
    const shown = texts.flatMap(({ source, text }) => this.#read(source, text));
    if (this.#takeAll(shown)) await this.#changed();
    else if (this.#isUnsaved) await this.#save();
  }

  async #changed(): Promise<void> {
    this.#views.clear();
    await this.#save();
    this.#parts.onChange?.();
  }

  /** Once a day, so that people sign in time. */
  #warnOfEnds(): void {
    const time = this.#time();
    const ends = endingSoon(this.#keeper.state, time);
    if (ends.length === 0 || time.nowMs < this.#warnAgainMs) return;
    this.#warnAgainMs = time.nowMs + DAY_MS;
    this.#parts.log('warn', 'fleet.ends-soon', {
      count: ends.length,
      entries: ends.slice(0, MOST_NAMED).map(({ name, atMs }) => `${name} at ${atMs}`),
      message:
        'the fleet manifest stops permitting these; the keys of trust.authority have to sign a higher serial with a later `until`, or none (`latchkey fleet draft --from FILE`)',
    });
  }

  #read(source: string, text: string): readonly Shown[] {
    try {
      return readManifestList(text).map((file) => ({ source, file }));
    } catch (error) {
      this.#refused(source, error);
      return [];
    }
  }

  /** Handovers of all sources first: two of one authority contradict each other, whatever the order in which they come. */
  #takeAll(shown: readonly Shown[]): boolean {
    const takeEach = (some: readonly Shown[]): boolean => some.filter((one) => this.#take(one)).length > 0;
    const handovers = shown.filter(({ file }) => isHandover(file.signed));
    let changed = false;
    do changed = takeEach(handovers) || changed;
    while (handovers.length > 0 && this.#keeper.settle(this.#time()));
    return takeEach(shown.filter((one) => !handovers.includes(one))) || changed;
  }

  #take({ source, file }: Shown): boolean {
    const before = this.#keeper.state;
    try {
      this.#keeper.take(file, this.#time());
    } catch (error) {
      this.#refused(source, error);
    }
    const { newest, pending, handovers } = this.#keeper.state;
    if (this.#keeper.state === before) return false;
    this.#parts.log(pending?.conflicting === undefined ? 'info' : 'error', 'fleet.manifest', {
      serial: newest?.serial,
      handovers: handovers.length,
      conflict: pending?.conflicting !== undefined,
    });
    return true;
  }

  /** Older manifests and handovers that are known already come from every server that is behind. */
  #refused(source: string, error: unknown): void {
    if (!(error instanceof LatchkeyError)) throw error;
    const isUsual = error.code === 'FLEET_SERIAL_OLDER' || error.code === 'FLEET_AUTHORITY_OTHER';
    this.#parts.log(isUsual ? 'debug' : 'warn', 'fleet.refused', {
      url: source,
      code: error.code,
      detail: error.message,
    });
  }

  #known(): string | undefined {
    const known = this.#keeper.known();
    return known === undefined ? undefined : toPrefixedHex(known);
  }

  async #save(): Promise<void> {
    try {
      await this.#namespace?.put(STATE, this.#keeper.record());
      this.#isUnsaved = false;
    } catch (error) {
      // A source may withhold them after a restart.
      this.#isUnsaved = true;
      this.#parts.log('warn', 'fleet.not-recorded', { error: String(error) });
    }
  }

  #view(purpose: keyof FleetFacts): FleetInForce {
    const time = this.#time();
    const known = this.#views.get(purpose);
    // A host may stop the own clock; what ends goes by the time of the chain.
    const isYoung = known !== undefined && Math.abs(time.nowMs - known.at.nowMs) < VIEW_FOR_MS;
    if (isYoung && known.at.chainMs === time.chainMs) return known.value;
    this.#keeper.settle(time);
    const value = this.#keeper[purpose](time);
    this.#views.set(purpose, { value, at: time });
    return value;
  }

  #time(): FleetTime {
    return { nowMs: this.#parts.clock.nowMs(), ...this.#parts.chain.time() };
  }
}

/** The fleet watch of a configuration; `undefined` without `trust.authority`. */
export function fleetWatchOf(
  { trust, fleet }: Config,
  parts: NodeParts,
  chain: ChainWatch,
  onChange: () => void,
): FleetWatch | undefined {
  if (trust.authority === undefined) return undefined;
  const { clock, random, log, fileSystem, client } = parts;
  const watch = new FleetWatch({
    authority: trust.authority,
    network: parsePrefixedHex(trust.chain.genesisHash, 32, 'trust.chain.genesisHash'),
    // Both may change while the node runs.
    get sources() {
      return fleet.sources;
    },
    get files() {
      return fleet.files;
    },
    fileSystem,
    chain,
    clock,
    random,
    log,
    onChange,
    ...(parts.fetch === undefined ? {} : { fetch: parts.fetch }),
  });
  client.hearExtensions((server, extensions) => watch.hear(server, extensions));
  return watch;
}
