import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import { Breather } from '../breather.ts';
import { systemCode } from '../files/disk-failure.ts';
import { inFolder } from '../files/files.ts';
import { newNamespaceState } from '../index/namespace-state.ts';
import { keysFileName, NamespaceKeys } from '../keys/namespace-keys.ts';
import { recordsOf } from '../log/frame.ts';
import type { ListedSegment, Manifest } from '../log/manifest.ts';
import { operations } from '../log/record.ts';
import { SEGMENT_HEADER_BYTES, type Segment, segmentFileName } from '../log/segment.ts';
import { type ScannedFrame, SegmentScan } from '../log/segment-scan.ts';
import { mostSegmentBytes, openKeysFile } from '../open/open-files.ts';
import { Replay } from '../open/replay.ts';
import type { StoreState } from '../store-state.ts';

/** Operations on the records of a namespace, which was made before. */
const ofRecords: ReadonlySet<number> = new Set([operations.put, operations.delete, operations.sealedInner]);

/** One loss of a lossy repair. */
export interface Loss {
  readonly place: string;
  readonly what: string;
}

/**
 * Rebuilds what can be rebuilt of a damaged store in memory: every frame that authenticates and every record of it
 * that opens in its place, in order; the rest is listed as lost.
 */
export class Salvage {
  readonly losses: Loss[] = [];
  /** Highest sequence number seen in the log. */
  lastSequence = 0;
  /** The file with the keys of erasable namespaces is not there. */
  keysAreGone = false;
  readonly #state: StoreState;
  readonly #replay: Replay;
  /** Namespaces that were erased, as far as anything still tells. */
  readonly #keyless = new Set<number>();

  constructor(state: StoreState) {
    this.#state = state;
    this.#replay = new Replay(state);
  }

  /** Opens the file with the keys of erasable namespaces, or continues without it. */
  async openKeys(manifest: Manifest): Promise<void> {
    const state = this.#state;
    const number = manifest.keysFile;
    try {
      state.keys = { ...state.keys, namespaceKeys: await openKeysFile(state, manifest, 'read') };
    } catch (error) {
      if (!(error instanceof LatchkeyError) || error.code !== 'STORE_NAMESPACE_KEY_DAMAGED') throw error;
      const file = { path: inFolder(state.folder, keysFileName(number)), number, handle: undefined };
      const { storeId, tuning, keys } = state;
      const wrapping = { wrapping: keys.current.records, storeId, random: tuning.random };
      state.keys = { ...keys, namespaceKeys: new NamespaceKeys(file, new Uint8Array(0), wrapping) };
      this.keysAreGone = true;
      this.losses.push({
        place: keysFileName(number),
        what: 'the file with the keys of erasable namespaces',
      });
    }
  }

  /** Reads all segments that the manifest lists. */
  async run({ segments }: Manifest): Promise<void> {
    for (const [index, listed] of segments.entries()) {
      await this.#segment(listed, index === segments.length - 1);
      // Also when its last frames are gone, their numbers were used.
      this.lastSequence = Math.max(
        this.lastSequence,
        index === segments.length - 1 ? listed.nextOrdinal - 1 : 0,
      );
    }
    this.#replay.buildIndexes();
    for (const space of [...this.#state.namespaces.all()]) {
      if (space.keyPlace === undefined) continue;
      if (space.key !== undefined) this.#state.namespaceKeys.claim(space.keyPlace);
      else {
        this.losses.push({
          place: space.name,
          what: 'erasable namespace whose key is gone, with all records',
        });
        this.#state.namespaces.remove(space);
      }
    }
  }

  async #segment(listed: ListedSegment, isLast: boolean): Promise<void> {
    const file = segmentFileName(listed.id);
    const path = inFolder(this.#state.folder, file);
    const keys = this.#state.keysOf(listed.keyVersion);
    const handle = await this.#state.fileSystem.open(path, 'read').catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
      return undefined;
    });
    if (handle === undefined || keys === undefined) {
      await handle?.close();
      this.losses.push({ place: file, what: `the whole segment of ${listed.length} bytes` });
      return;
    }
    // Beyond this nothing can be genuine, and a sparse file would cost minutes.
    const size = Math.min(await handle.size(), mostSegmentBytes(listed.length, isLast));
    const scan = new SegmentScan(
      { handle, size, from: SEGMENT_HEADER_BYTES },
      { storeId: this.#state.storeId, chainKey: keys.chainKey.reveal() },
      { ordinal: 0, digest: new Uint8Array(32) },
    );
    // The segment's own header may be what is damaged; a frame says all that is needed.
    const first = await scan.resume(0);
    const header = { id: listed.id, kind: isLast ? 'log' : 'compacted', previous: listed.digest } as const;
    const fields = { ...header, firstOrdinal: first ?? 0 };
    const segment = this.#state.log.add(fields, { path, handle, headerMac: listed.headerMac, keys });
    this.#state.log.segments = [...this.#state.log.segments, segment];
    await this.#frames(segment, scan, { durable: listed.length, size: isLast ? size : listed.length });
  }

  async #frames(
    segment: Segment,
    scan: SegmentScan,
    expected: { readonly durable: number; readonly size: number },
  ): Promise<void> {
    const breather = new Breather();
    const file = segmentFileName(segment.id);
    let end = SEGMENT_HEADER_BYTES;
    let found = scan.next();
    while (true) {
      if (found.kind === 'frame') {
        if (found.at > end) this.#lost(file, end, found.at);
        await this.#records(segment, found, breather);
        end = found.at + found.bytes.length;
        segment.length = end;
        segment.digest = scan.position.digest;
        // The last segment is of the log; in a compacted one the numbers are no sequence.
        if (segment.kind === 'log')
          this.lastSequence = Math.max(this.lastSequence, scan.position.ordinal - 1);
      } else if ((await scan.resume(scan.position.ordinal)) === undefined) break;
      found = scan.next();
    }
    // Room that was waiting for records is no loss.
    const length = found.kind === 'room' ? expected.durable : Math.max(expected.durable, expected.size);
    if (length > end) this.#lost(file, end, length);
  }

  #lost(file: string, from: number, to: number): void {
    this.losses.push({ place: `${file}, bytes ${from} to ${to - 1}`, what: `${to - from} bytes of records` });
  }

  /** Each record by itself, fully opened: the associated data proves that it belongs here. */
  async #records(segment: Segment, frame: ScannedFrame, breather: Breather): Promise<void> {
    let ordinal = frame.header.firstOrdinal;
    for (const { offset, sealed } of recordsOf(frame.bytes)) {
      const position = { segmentId: segment.id, ordinal };
      this.#adopt(sealed, segment);
      const opened = this.#state.sealer.open(
        sealed,
        segment.keys.records,
        position,
        this.#state.reader.innerKeys,
      );
      const isOpenable = opened !== undefined || this.#isOfErased(sealed, segment);
      if (!isOpenable)
        this.losses.push({
          place: `${segmentFileName(segment.id)}, byte ${frame.at + offset}`,
          what: 'a record',
        });
      else if (opened !== undefined) this.#replayOne(segment, { sealed, at: frame.at + offset, ordinal });
      ordinal += 1;
      if (breather.isDue) await breather.pause();
    }
  }

  /** The record that named a namespace may be lost, and its others not: they get a name of their own. */
  #adopt(sealed: Buffer, segment: Segment): void {
    const { sealer, namespaces, namespaceKeys } = this.#state;
    const outer = sealer.openName(sealed, segment.keys.records, () => undefined);
    if (outer === undefined || !ofRecords.has(outer.operation)) return;
    const { namespace: id, operation } = outer;
    if (namespaces.byId(id) !== undefined || this.#keyless.has(id)) return;
    const isErasable = operation === operations.sealedInner;
    const keyPlace = isErasable ? namespaceKeys.find(id) : undefined;
    const key = keyPlace === undefined ? undefined : namespaceKeys.open(keyPlace, id);
    if (isErasable && key === undefined) {
      this.#keyless.add(id);
      return;
    }
    const name = `lost-namespace-${id}`;
    const cipher = key === undefined ? undefined : new XChaCha20Key(key);
    key?.fill(0);
    namespaces.add(newNamespaceState(id, name, keyPlace, cipher));
    this.losses.push({ place: `namespace ${id}`, what: `its name; what is left of it is kept as ${name}` });
  }

  #replayOne(segment: Segment, record: { sealed: Buffer; at: number; ordinal: number }): void {
    try {
      this.#replay.record(segment, record);
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      this.losses.push({ place: `${segmentFileName(segment.id)}, byte ${record.at}`, what: 'a record' });
    }
  }

  /** A record is no loss when the key of its namespace was destroyed on purpose. */
  #isOfErased(sealed: Buffer, segment: Segment): boolean {
    const outer = this.#state.sealer.openName(sealed, segment.keys.records, () => undefined);
    return outer?.operation === operations.sealedInner;
  }
}
