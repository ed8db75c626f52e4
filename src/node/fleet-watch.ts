import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import type { ChainView } from '../chain/chain-view.ts';
import type { Config } from '../config/schema.ts';
import type { RandomSource } from '../crypto/random.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { FleetKeeper } from '../fleet/fleet-keeper.ts';
import type { FleetState } from '../fleet/fleet-state.ts';
import type { FleetInForce, FleetTime } from '../fleet/in-force.ts';
import {
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
import type { ChainWatch } from './chain-watch.ts';
import type { NodeParts } from './parts.ts';

const NAMESPACE = 'latchkey/fleet';
const STATE = 'state';
/** How many registered servers are asked at a time, in addition to the configured sources. */
const MOST_SERVERS = 4;
const SOURCE_DEADLINE_MS = 10_000;
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

/** Keeps the manifests of the fleet: asks for them, remembers them in the sealed store, and hands them on. */
export class FleetWatch implements FleetFacts {
  readonly #parts: FleetWatchParts;
  readonly #keeper: FleetKeeper;
  readonly #views = new Map<string, { readonly value: FleetInForce; readonly atMs: number }>();
  readonly #lists = new WeakMap<FleetInForce, PlatformLists>();
  /** The whole answer of a state: it may have 11 MB, and anybody may ask for it. */
  readonly #answers = new WeakMap<FleetState, ReturnType<typeof writeManifestList>>();
  #namespace: Namespace | undefined;

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
    const newest = this.#keeper.files().at(-1);
    return newest === undefined ? noExtensions : new Map([['fleet', newest.signed]]);
  }

  /** Answer of `GET /fleet`. @param known hash of the newest manifest that the asker has. */
  answer(known: string | undefined): ReturnType<typeof writeManifestList> {
    if (known !== undefined && known === this.#newestHash()) return { manifests: [] };
    const { state } = this.#keeper;
    const answer = this.#answers.get(state) ?? writeManifestList(this.#keeper.files());
    this.#answers.set(state, answer);
    return answer;
  }

  /** Goes on with what the open store remembers. A record that cannot be read is reported, and locks no node. */
  async open(store: Store): Promise<void> {
    this.#namespace = await store.namespace(NAMESPACE);
    const record = await this.#namespace.get(STATE);
    if (this.#remember(record)) {
      this.#parts.log('warn', 'fleet.was-behind', {
        message:
          'the servers that opened this store were judged by an older manifest than the store remembers',
      });
    }
    this.#views.clear();
    await this.#save();
  }

  /** Keeps what it knows in a store that took no writes when it was opened, and takes them now. */
  async record(store: Store): Promise<void> {
    this.#namespace ??= await store.namespace(NAMESPACE);
    await this.#save();
  }

  /** @returns whether the store remembers a newer manifest than the sources showed. */
  #remember(record: Uint8Array | undefined): boolean {
    try {
      return this.#keeper.open(record, this.#time()).wasBehind;
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      this.#parts.log('error', 'fleet.not-read', { code: error.code, detail: error.message });
      return this.#keeper.open(undefined, this.#time()).wasBehind;
    }
  }

  /** Asks all sources again and again. Resolves when the signal aborts. */
  async follow(everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.refresh(signal);
      await this.#parts.clock.sleep(everyMs, signal);
    }
  }

  /** For a process that follows no chain: reads the servers first. */
  async refreshByChain(chain: ChainView, signal: AbortSignal): Promise<void> {
    const snapshot = await chain.snapshot().catch(() => undefined);
    if (snapshot !== undefined) this.#parts.chain.take(snapshot);
    await this.refresh(signal);
  }

  /** Asks all sources once. What a source says wrong is logged, and the others are asked. */
  async refresh(signal: AbortSignal): Promise<void> {
    const texts = await Promise.all(this.#sources().map((url) => this.#ask(url, signal)));
    let changed = false;
    for (const [url, text] of texts) {
      if (text !== undefined && this.#takeAll(url, text)) changed = true;
    }
    if (!changed) return;
    this.#views.clear();
    await this.#save();
    this.#parts.onChange?.();
  }

  #takeAll(url: string, text: string): boolean {
    try {
      return readManifestList(text).filter((file) => this.#take(url, file)).length > 0;
    } catch (error) {
      this.#refused(url, error);
      return false;
    }
  }

  #take(url: string, file: ManifestFile): boolean {
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
    const known = this.#newestHash();
    const answer = await boundedFetch(this.#parts.fetch ?? fetch, {
      url: known === undefined ? url : `${url}?known=${known}`,
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

  #newestHash(): string | undefined {
    const { newest, pending } = this.#keeper.state;
    return newest === undefined || pending !== undefined ? undefined : toPrefixedHex(newest.header.hash);
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
    const value = this.#keeper[purpose](time);
    this.#views.set(purpose, { value, atMs: time.nowMs });
    return value;
  }

  #time(): FleetTime {
    return { nowMs: this.#parts.clock.nowMs(), ...this.#parts.chain.time() };
  }
}

/** The fleet watch of a configuration; `undefined` without `trust.authority`. */
export function fleetWatchOf(
  { trust, fleet }: Config,
  { clock, random, log }: NodeParts,
  chain: ChainWatch,
  onChange: () => void,
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
  });
}
