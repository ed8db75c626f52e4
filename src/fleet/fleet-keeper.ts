import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { FleetAuthority } from '../trust/fleet-authority.ts';
import { delayedEntries } from './delayed-entries.ts';
import { judgeFirstManifest } from './first-manifest.ts';
import { decodeFleetState, encodeFleetState } from './fleet-record.ts';
import {
  type FleetState,
  type HeaderFinding,
  noManifestYet,
  noteHeader,
  signersNow,
  takeManifest,
  underSection,
} from './fleet-state.ts';
import { type FleetInForce, type FleetTime, inForce, noPermissions } from './in-force.ts';
import { type Manifest, readManifest } from './manifest.ts';
import type { ManifestFile } from './manifest-file.ts';

/**
 * The manifests of a running node. Until its store is open it has no memory: it believes the highest serial that its
 * sources show, and counts delays from the dates of the authority. From then on its own first sight counts.
 */
export class FleetKeeper {
  #state: FleetState;
  #isOpen = false;
  /** Entries that this node relied on to open its store: it goes on asking the servers that they accept. */
  #reliedOn: ReadonlyMap<string, number> = new Map();

  /** @param network hash of block 0, 32 bytes. */
  constructor(authority: FleetAuthority, network: Uint8Array) {
    this.#state = noManifestYet(authority, network);
  }

  get state(): FleetState {
    return this.#state;
  }

  /**
   * Takes a manifest from any source.
   * @returns whether it changed anything.
   * @throws what {@link noteHeader}, `readManifest` and {@link takeManifest} throw; RefusalError FLEET_AGE_REFUSED.
   */
  take({ signed, ...parts }: ManifestFile, { nowMs, chainMs }: FleetTime): boolean {
    const before = this.#state;
    const { state, header, finding } = noteHeader(before, signed, nowMs);
    // Lists are long, and a source may send the same ones for ever.
    if (finding === 'known' && state.pending === undefined) return false;
    // The header counts, whatever came with it as its body.
    this.#state = state;
    const manifest = readManifest(header, parts);
    if (this.#isOpen && state.newest === undefined) judgeFirst(manifest, chainMs);
    this.#adopt(manifest, nowMs);
    return this.#state !== before;
  }

  /**
   * Notes a header that came without its manifest. A newer one stops new trust until the manifest is here.
   * @throws what {@link noteHeader} throws; then nothing has changed.
   */
  note(signed: Uint8Array, nowMs: number): HeaderFinding {
    const { state, finding } = noteHeader(this.#state, signed, nowMs);
    this.#state = state;
    return finding;
  }

  #adopt(manifest: Manifest, nowMs: number): void {
    this.#state = takeManifest(this.#state, manifest, nowMs);
    const listed = new Set(delayedEntries(manifest).map(({ name }) => name));
    if (manifest.body.kind === 'rules')
      this.#reliedOn = new Map([...this.#reliedOn].filter(([name]) => listed.has(name)));
  }

  /**
   * The store is open: goes on with what it remembers, and takes what was shown since.
   * @param record as {@link record} gave it; `undefined` in a store without one.
   * @returns whether the store remembers a newer manifest than the one that the node relied on to open it.
   * @throws EvidenceError of a record that cannot be read.
   */
  open(record: Uint8Array | undefined, time: FleetTime): { readonly wasBehind: boolean } {
    const { authority, network, handovers, newest, pending } = this.#state;
    const remembered =
      record === undefined
        ? noManifestYet(authority, network)
        : underSection(seenBy(decodeFleetState(record, network), time.nowMs), authority);
    this.#isOpen = true;
    this.#reliedOn = new Map(
      newest === undefined ? [] : delayedEntries(newest).map(({ name, sinceMs }) => [name, sinceMs]),
    );
    this.#state = remembered;
    const shown = [...handovers, ...(newest === undefined ? [] : [newest])];
    const results = shown.map(({ header, parts }) =>
      codeOf(() => this.take({ signed: header.signed, ...parts }, time)),
    );
    for (const header of [pending?.awaited, pending?.conflicting])
      if (header !== undefined) codeOf(() => this.note(header.signed, time.nowMs));
    return { wasBehind: results.includes('FLEET_SERIAL_OLDER') };
  }

  /** The bytes for the sealed store. */
  record(): Uint8Array {
    return encodeFleetState(this.#state);
  }

  /** What is in force for machines that ask this node. */
  granting(time: FleetTime): FleetInForce {
    return inForce(this.#state, time, 'own-sight');
  }

  /** What is in force for servers that this node asks. */
  asking(time: FleetTime): FleetInForce {
    if (!this.#isOpen) return inForce(this.#state, time, 'issue');
    const firstSeen = new Map([...this.#state.firstSeen, ...this.#reliedOn]);
    return inForce({ ...this.#state, firstSeen }, time, 'own-sight');
  }

  /**
   * What is in force for servers that this node gives a slot to. A new node has no memory: a manifest that is too old to
   * be its first one permits nothing, or a host could show it one from before an image or a platform was given up.
   */
  enrolling(time: FleetTime): FleetInForce {
    const { newest } = this.#state;
    const asked = this.asking(time);
    if (this.#isOpen || newest === undefined) return asked;
    if (codeOf(() => judgeFirst(newest, time.chainMs)) === 'none') return asked;
    return { ...asked, ...noPermissions };
  }

  /** The manifest that was accepted last: a handover, until its successor has signed a manifest. */
  get last(): Manifest | undefined {
    const { handovers, newest } = this.#state;
    const isOfSigners = newest?.header.signers.id === signersNow(this.#state).signers.id;
    return isOfSigners ? newest : (handovers.at(-1) ?? newest);
  }

  /** Everything that another node needs to come to the same state, in its order. */
  files(): readonly ManifestFile[] {
    const { handovers, newest } = this.#state;
    const all = [...handovers, ...(newest === undefined ? [] : [newest])];
    return all.map(({ header, parts }) => ({ signed: header.signed, ...parts }));
  }
}

/** A clock that was ahead at the first sight of an entry must not hold it off until that time. */
function seenBy(state: FleetState, nowMs: number): FleetState {
  const firstSeen = new Map([...state.firstSeen].map(([name, ms]) => [name, Math.min(ms, nowMs)]));
  return { ...state, firstSeen };
}

function judgeFirst({ body, header }: Manifest, chainMs: number): void {
  if (body.kind === 'rules') judgeFirstManifest(header, chainMs);
}

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
}
