import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import type { ChainView } from '../chain/chain-view.ts';
import type { Config } from '../config/schema.ts';
import type { RandomSource } from '../crypto/random.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { endingSoon } from '../fleet/ends-soon.ts';
import { FleetKeeper } from '../fleet/fleet-keeper.ts';
import type { FleetState } from '../fleet/fleet-state.ts';
import type { FleetTime } from '../fleet/fleet-time.ts';
import type { FleetInForce } from '../fleet/in-force.ts';
import {
  isHandover,
  MAX_MANIFEST_FILE_BYTES,
  type ManifestFile,
  readManifestList,
  writeManifestList,
} from '../fleet/manifest-file.ts';
import type { FleetFacts } from '../keyserver/judge.ts';
import type { Log } from '../observe/log.ts';
import { boundedFetch, type Fetch } from '../outbound/bounded-fetch.ts';
import { type Extensions, noExtensions } from '../protocol/extensions.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';
import type { Clock } from '../time/clock.ts';
import type { FleetAuthority } from '../trust/fleet-authority.ts';
import { PlatformLists } from '../trust/platform-lists.ts';
import { DAY_MS } from '../trust/section-values.ts';
import type { ChainWatch } from './chain-watch.ts';
import type { NodeParts } from './parts.ts';

const NAMESPACE = 'latchkey/fleet';
const STATE = 'state';
/** How many registered servers are asked at a time, in addition to the configured sources. */
const MOST_SERVERS = 4;
const SOURCE_DEADLINE_MS = 10_000;
/** How often the time of the chain is looked for, before there is any. */
const UNTIMED_MS = 1_000;
/** How many entries that end soon are named in the log. */
const MOST_NAMED = 20;
/** How long a view of what is in force is used again: lists may have 10,000 entries, and each request is judged. */
const VIEW_FOR_MS = 1_000;

/** The parts of a fleet watch. */
export interface FleetWatchParts {
  readonly authority: FleetAuthority;
  /** Hash of block 0, 32 bytes. */
  readonly network: Uint8Array;
  /** URLs that are asked in addition to registered servers. */
  readonly sources: readonly string[];
  readonly chain: Pick<ChainWatch, 'time' | 'endpoints' | 'take'>;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  readonly fetch?: Fetch;
  /** Called after something new was taken. */
  readonly onChange?: () => void;
}

/** A manifest, and where it came from. */
interface Shown {
  readonly url: string;
  readonly file: ManifestFile;
}

/** Keeps the manifests of the fleet: asks for them, remembers them in the sealed store, and hands them on. */
export class FleetWatch implements FleetFacts {
  readonly #parts: FleetWatchParts;
  readonly #keeper: FleetKeeper;
  readonly #views = new Map<string, { readonly value: FleetInForce; readonly atMs: number }>();
  readonly #lists = new WeakMap<FleetInForce, PlatformLists>();
  /** The whole answer of a state: it may have 11 MB, and anybody may ask for it. */
  readonly #answers = new WeakMap<FleetState, ReturnType<typeof writeManifestList>>();
  #namespace: Namespace | undefined;
  #warnAgainMs = 0;

  constructor(parts: FleetWatchParts) {
    this.#parts = parts;
    this.#keeper = new FleetKeeper(parts.authority, parts.network);
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
    const { newest } = this.#keeper.state;
    return newest === undefined ? noExtensions : new Map([['fleet', newest.header.signed]]);
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
    while (!signal.aborted) {
      // Without the time of the chain no manifest can be judged, and no server is known.
      const isTimed = this.#time().chainMs > 0;
      if (isTimed) await this.refresh(signal);
      await this.#parts.clock.sleep(isTimed ? everyMs : Math.min(everyMs, UNTIMED_MS), signal);
    }
  }

  /** For a process that follows no chain: reads the servers first. */
  async refreshByChain(chain: ChainView, signal: AbortSignal): Promise<void> {
    const snapshot = await chain.snapshot().catch(() => undefined);
    if (snapshot === undefined) return;
    this.#parts.chain.take(snapshot);
    await this.refresh(signal);
  }

  /** Asks all sources once. What a source says wrong is logged, and the others are asked. */
  async refresh(signal: AbortSignal): Promise<void> {
    const texts = await Promise.all(this.#sources().map((url) => this.#ask(url, signal)));
    this.#warnOfEnds();
    const shown = texts.flatMap(([url, text]) => (text === undefined ? [] : this.#read(url, text)));
    if (!this.#takeAll(shown)) return;
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
      entries: ends.slice(0, MOST_NAMED).map(({ name, untilMs = 0 }) => `${name} at ${untilMs}`),
      message:
        'the fleet manifest stops permitting these; the keys of trust.authority have to sign a higher serial with a later `until`, or none (`latchkey fleet draft --from FILE`)',
    });
  }

  #read(url: string, text: string): readonly Shown[] {
    try {
      return readManifestList(text).map((file) => ({ url, file }));
    } catch (error) {
      this.#refused(url, error);
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

  #take({ url, file }: Shown): boolean {
    const before = this.#keeper.state;
    try {
      this.#keeper.take(file, this.#time());
    } catch (error) {
      this.#refused(url, error);
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
  #refused(url: string, error: unknown): void {
    if (!(error instanceof LatchkeyError)) throw error;
    const isUsual = error.code === 'FLEET_SERIAL_OLDER' || error.code === 'FLEET_AUTHORITY_OTHER';
    this.#parts.log(isUsual ? 'debug' : 'warn', 'fleet.refused', {
      url,
      code: error.code,
      detail: error.message,
    });
  }

  async #ask(url: string, signal: AbortSignal): Promise<readonly [string, string | undefined]> {
    const answer = await boundedFetch(this.#parts.fetch ?? fetch, {
      url: asking(url, this.#known()),
      method: 'GET',
      timeoutMs: SOURCE_DEADLINE_MS,
      maxBytes: MAX_MANIFEST_FILE_BYTES,
      signal,
    });
    if (!answer.ok || answer.status !== 200) return [url, undefined];
    return [url, new TextDecoder().decode(answer.body)];
  }

  #sources(): readonly string[] {
    const { sources, chain, random } = this.#parts;
    const endpoints = [...chain.endpoints()];
    const first = endpoints.length === 0 ? 0 : (random(2)[0] ?? 0) % endpoints.length;
    const turned = [...endpoints.slice(first), ...endpoints.slice(0, first)].slice(0, MOST_SERVERS);
    return [...sources, ...turned.map((endpoint) => `http://${endpoint}/fleet`)];
  }

  #known(): string | undefined {
    const known = this.#keeper.known();
    return known === undefined ? undefined : toPrefixedHex(known);
  }

  async #save(): Promise<void> {
    try {
      await this.#namespace?.put(STATE, this.#keeper.record());
    } catch (error) {
      // A fenced or failed store takes nothing; the manifests come again from their sources.
      this.#parts.log('warn', 'fleet.not-recorded', { error: String(error) });
    }
  }

  #view(purpose: keyof FleetFacts): FleetInForce {
    const time = this.#time();
    const known = this.#views.get(purpose);
    if (known !== undefined && Math.abs(time.nowMs - known.atMs) < VIEW_FOR_MS) return known.value;
    this.#keeper.settle(time);
    const value = this.#keeper[purpose](time);
    this.#views.set(purpose, { value, atMs: time.nowMs });
    return value;
  }

  #time(): FleetTime {
    return { nowMs: this.#parts.clock.nowMs(), ...this.#parts.chain.time() };
  }
}

/** The URL that asks a source for what a node does not have. Sources may have a query of their own. */
function asking(url: string, known: string | undefined): string {
  // An address on the chain may be any text; asking it fails.
  if (known === undefined || !URL.canParse(url)) return url;
  const asked = new URL(url);
  asked.searchParams.set('known', known);
  return asked.href;
}

/** The fleet watch of a configuration; `undefined` without `trust.authority`. */
export function fleetWatchOf(
  { trust, fleet }: Config,
  { clock, random, log }: NodeParts,
  chain: ChainWatch,
  onChange: () => void,
  fetchFrom?: Fetch,
): FleetWatch | undefined {
  if (trust.authority === undefined) return undefined;
  const network = parsePrefixedHex(trust.chain.genesisHash, 32, 'trust.chain.genesisHash');
  const { sources } = fleet;
  return new FleetWatch({
    authority: trust.authority,
    network,
    sources,
    chain,
    clock,
    random,
    log,
    onChange,
    ...(fetchFrom === undefined ? {} : { fetch: fetchFrom }),
  });
}
