import { concatBytes, equalBytes } from '../bytes/concat.ts';
import { sha256 } from '../crypto/sha2.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { FleetAuthority } from '../trust/fleet-authority.ts';
import { DAY_MS } from '../trust/section-values.ts';
import { judgeFirstManifest, judgeIssueTime } from './first-manifest.ts';
import { decodeFleetState, encodeFleetState } from './fleet-record.ts';
import {
  type FleetState,
  type HeaderFinding,
  newestHeader,
  noManifestYet,
  noteHeader,
  serialOlder,
  settled,
  takeManifest,
  underSection,
} from './fleet-state.ts';
import { type FleetTime, sightMs } from './fleet-time.ts';
import { type FleetInForce, inForce, noPermissions, together } from './in-force.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { isHandover, type ManifestFile } from './manifest-file.ts';
import { withSignaturesOf } from './merge-signatures.ts';
import { reliedOnAt, stillListed } from './relied-on.ts';
import { signersNow, successorOf } from './succession.ts';

/** How long after its birth a new node takes its first manifest without a delay. */
const NEW_FOR_MS = DAY_MS;

/**
 * The manifests of a running node. Until its store is open it has no memory: it believes the highest serial that its
 * sources show, and counts delays from the dates of the authority. From then on its own first sight counts.
 */
export class FleetKeeper {
  #state: FleetState;
  #isOpen = false;
  /** Whether this process made the store, by a manifest that is young enough. */
  #isNew = false;
  /** When the store was opened. */
  #opened: FleetTime = { nowMs: 0, chainMs: 0 };
  /** What this node relied on to open its store: it goes on asking the servers that this accepts. */
  #reliedOn: FleetState | undefined;

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
   * @throws what {@link noteHeader}, `readManifest` and {@link takeManifest} throw; RefusalError FLEET_AGE_REFUSED,
   *   FLEET_ISSUED_AHEAD.
   */
  take({ signed, ...parts }: ManifestFile, time: FleetTime): boolean {
    // Without memory a handover may be in effect at once: first another one is heard that contradicts it.
    if (this.#isOpen || !isHandover(signed)) this.settle(time);
    const before = this.#state;
    const { state, header, finding } = noteHeader(before, signed, time.chainMs);
    // Not even noted: a header that is far ahead would stop new trust until the day that it names.
    judgeIssueTime(header, time.chainMs);
    // Lists are long, and a source may send the same ones for ever.
    if (finding === 'known' && state.pending === undefined) return this.#addSignatures(header);
    // The header counts, whatever came with it as its body.
    this.#state = state;
    const manifest = readManifest(header, parts);
    if (this.#isOpen && state.newest === undefined) judgeFirst(manifest, time.chainMs);
    this.#adopt(withSignaturesOf(manifest, header), time);
    return this.#state !== before;
  }

  /**
   * Notes a header that came without its manifest. A newer one stops new trust until the manifest is here.
   * @throws what {@link noteHeader} throws; RefusalError FLEET_SERIAL_OLDER, FLEET_ISSUED_AHEAD. Then nothing has changed.
   */
  note(signed: Uint8Array, time: FleetTime): HeaderFinding {
    if (this.#isOpen || !isHandover(signed)) this.settle(time);
    const { state, header, finding } = noteHeader(this.#state, signed, time.chainMs);
    // Only with its manifest it would be of use.
    if (finding === 'late') throw serialOlder(header, newestHeader(state)?.header.serial);
    judgeIssueTime(header, time.chainMs);
    this.#state = state;
    return finding;
  }

  #adopt(manifest: Manifest, time: FleetTime): void {
    this.#state = takeManifest(this.#state, manifest, sightMs(time));
    // A handover takes nothing back, nor does one of two manifests that contradict each other.
    if (this.#state.newest !== manifest) return;
    if (this.#reliedOn !== undefined) this.#reliedOn = stillListed(this.#reliedOn, manifest);
    // The first manifest of a new node may come after its birth: people have to learn its platform first.
    else if (this.#isNew && this.#isFirstDay(time)) this.#reliedOn = reliedOnAt(this.#state, time);
  }

  /** By both clocks: the host sets the own one, at the birth too, and may keep the blocks of the chain away. */
  #isFirstDay(time: FleetTime): boolean {
    const { chainMs } = this.#opened;
    return time.chainMs <= chainMs + NEW_FOR_MS && sightMs(time) <= sightMs(this.#opened) + NEW_FOR_MS;
  }

  /** A host may have shown a copy without the signatures that nodes under another section need. */
  #addSignatures(shown: Parameters<typeof withSignaturesOf>[1]): boolean {
    const { newest } = this.#state;
    if (newest === undefined || !newest.header.isSameAs(shown)) return false;
    const merged = withSignaturesOf(newest, shown);
    if (merged === newest) return false;
    this.#state = { ...this.#state, newest: merged };
    return true;
  }

  /** Puts a handover into effect when its delay is over. @returns whether it did. */
  settle(time: FleetTime): boolean {
    const before = this.#state;
    this.#state = settled(before, time, this.#isOpen ? 'own-sight' : 'issue');
    return this.#state !== before;
  }

  /**
   * The store is open: goes on with what it remembers, and takes what was shown since.
   * @param record as {@link record} gave it; `undefined` in a store without one.
   * @param isNew whether this process made the store.
   * @returns whether the store remembers a newer manifest than the one that the node relied on to open it.
   * @throws EvidenceError of a record that cannot be read.
   */
  open(record: Uint8Array | undefined, time: FleetTime, isNew = false): { readonly wasBehind: boolean } {
    const before = this.#state;
    const { authority, network, newest } = before;
    const remembered =
      record === undefined
        ? noManifestYet(authority, network)
        : underSection(seenBy(decodeFleetState(record, network), sightMs(time)), authority);
    const shown = this.files();
    this.#reliedOn = reliedOnAt(before, time);
    this.#isOpen = true;
    this.#opened = time;
    this.#isNew = isNew && (newest === undefined || isYoung(newest, time.chainMs));
    this.#state = settled(remembered, time, 'own-sight');
    const wasBehind = isBehind(before, this.#state);
    for (const file of shown) codeOf(() => this.take(file, time));
    for (const header of [before.pending?.awaited, before.pending?.conflicting])
      if (header !== undefined) codeOf(() => this.note(header.signed, time));
    const own = this.#state.newest;
    // What the store remembers may take back what the node relied on.
    if (this.#reliedOn !== undefined && own !== undefined) this.#reliedOn = stillListed(this.#reliedOn, own);
    return { wasBehind };
  }

  /**
   * The store is closed again, because it was opened by an older manifest than it remembers: goes on as a locked node
   * that was shown what the store remembers.
   */
  close(): void {
    this.#isOpen = false;
    this.#reliedOn = undefined;
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
    const own = inForce(this.#state, time, 'own-sight');
    return this.#reliedOn === undefined ? own : together(own, inForce(this.#reliedOn, time, 'own-sight'));
  }

  /**
   * What is in force for servers that this node gives a slot to. With an open store only its own first sight counts, or a
   * restart would be a way around the delay. A new node has no memory, so it goes on with what it was born with; a
   * manifest that is too old to be its first one permits nothing, or a host could show it one from before an image or a
   * platform was given up.
   */
  enrolling(time: FleetTime): FleetInForce {
    if (this.#isOpen && !this.#isNew) return inForce(this.#state, time, 'own-sight');
    const { newest } = this.#state;
    const asked = this.asking(time);
    if (this.#isOpen || newest === undefined || isYoung(newest, time.chainMs)) return asked;
    return { ...asked, ...noPermissions };
  }

  /** The manifest that was accepted last: a handover, until its successor has signed a manifest. */
  get last(): Manifest | undefined {
    const { handovers, newest } = this.#state;
    const isOfSigners = newest?.header.signers.id === signersNow(this.#state).signers.id;
    return isOfSigners ? newest : (handovers.at(-1) ?? newest);
  }

  /** Everything that another node needs to come to the same state, in the order in which it takes it. */
  files(): readonly ManifestFile[] {
    const { handovers, newest, offered } = this.#state;
    // The newest manifest may be by an authority that has handed over since.
    const position = handovers.findIndex(({ body }) => successorOf(body)?.id === newest?.header.signers.id);
    const all = [
      ...handovers.slice(0, position + 1),
      newest,
      ...handovers.slice(position + 1),
      offered?.manifest,
      offered?.conflicting,
    ];
    return all.flatMap((manifest) =>
      manifest === undefined ? [] : [{ signed: manifest.header.signed, ...manifest.parts }],
    );
  }

  /**
   * Name of all that {@link files} gives, signatures included, 32 bytes; `undefined` when that is nothing. A header without its
   * manifest changes no name: a source that has the manifest has another name.
   */
  known(): Uint8Array | undefined {
    const files = this.files();
    if (files.length === 0) return undefined;
    return sha256(concatBytes(...files.map(({ signed }) => signed)));
  }
}

/** A clock that was ahead at the first sight of an entry must not hold it off until that time. */
function seenBy(state: FleetState, nowMs: number): FleetState {
  const firstSeen = new Map([...state.firstSeen].map(([name, ms]) => [name, Math.min(ms, nowMs)]));
  const { offered } = state;
  const seenMs = Math.min(offered?.seenMs ?? 0, nowMs);
  return { ...state, firstSeen, offered: offered && { ...offered, seenMs } };
}

/** Whether a node relied on an older manifest than its store remembers, or on none: a header alone permits nothing. */
function isBehind(relied: FleetState, remembered: FleetState): boolean {
  const [used, known] = [relied.newest?.header, remembered.newest?.header];
  if (known === undefined) return false;
  if (used === undefined) return true;
  if (equalBytes(used.header.authorityId, known.header.authorityId))
    return used.header.serial < known.header.serial;
  const { handovers, authority } =
    relied.handovers.length > remembered.handovers.length ? relied : remembered;
  const inOrder = [authority.id, ...handovers.map(({ body }) => successorOf(body)?.id)];
  return inOrder.indexOf(used.signers.id) < inOrder.indexOf(known.signers.id);
}

const isYoung = (manifest: Manifest, chainMs: number): boolean =>
  codeOf(() => judgeFirst(manifest, chainMs)) === 'none';

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
