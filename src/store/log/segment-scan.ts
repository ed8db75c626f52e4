import { equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { FileHandle } from '../../disk/file-system.ts';
import { Breather } from '../breather.ts';
import {
  claimedLength,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameHeader,
  frameDigest,
  MAX_FRAME_BYTES,
  readFrameHeader,
} from './frame.ts';
import { MAX_ROOM_BYTES } from './segment.ts';

/** The position in the chain that the next frame of a segment must continue. */
export interface ChainPosition {
  readonly ordinal: number;
  readonly digest: Uint8Array;
}

/** An authenticated frame in its place. */
export interface ScannedFrame {
  readonly kind: 'frame';
  readonly bytes: Buffer;
  readonly at: number;
  readonly header: FrameHeader;
  readonly digest: Uint8Array;
}

/** The end of a scan: the end of the file, or the first place where no frame continues the chain. */
export type ScanEnd =
  | { readonly kind: 'end'; readonly at: number }
  /** Nothing but zeros from here to the end of the file: room for frames that never came, if it is the last segment. */
  | { readonly kind: 'room'; readonly at: number }
  | {
      /**
       * `misplaced`: a genuine frame of this store that belongs elsewhere. `foreign`: a genuine frame of another
       * store with the same key. `strange`: not genuine, and marked as another store's.
       */
      readonly kind: 'unauthentic' | 'strange' | 'foreign' | 'misplaced';
      readonly at: number;
    };

/** Number of possible frames that are checked before the clock is read again. */
const CANDIDATES_A_LOOK = 64;
const WINDOW_BYTES = 4 * 1024 * 1024;
/** The preallocated bytes, and a frame before them that a power cut erased completely. */
const MAX_ZEROS = 2 * MAX_ROOM_BYTES;

/** Reads a segment's frames in order, each authenticated before it is parsed. */
export class SegmentScan {
  readonly #handle: Pick<FileHandle, 'readSync'>;
  readonly #size: number;
  readonly #chainKey: Uint8Array;
  readonly #storeId: Uint8Array;
  #window = Buffer.alloc(0);
  #windowAt: number;
  #at: number;
  #position: ChainPosition;

  constructor(
    file: { readonly handle: Pick<FileHandle, 'readSync'>; readonly size: number; readonly from: number },
    keys: { readonly storeId: Uint8Array; readonly chainKey: Uint8Array },
    position: ChainPosition,
  ) {
    this.#handle = file.handle;
    this.#size = file.size;
    this.#at = file.from;
    this.#windowAt = file.from;
    this.#storeId = keys.storeId;
    this.#chainKey = keys.chainKey;
    this.#position = position;
  }

  /** The next frame (its bytes are valid until the next call), or where and why there is none. */
  next(): ScannedFrame | ScanEnd {
    const at = this.#at;
    if (at >= this.#size) return { kind: 'end', at };
    const frame = this.#frameAt(at);
    if (frame === undefined) return { kind: this.#isRoom(at) ? 'room' : 'unauthentic', at };
    const isOurs = equalBytes(frame.header.storeTag, this.#storeId.subarray(0, 8));
    if (frame.digest === undefined) return { kind: isOurs ? 'unauthentic' : 'strange', at };
    if (!isOurs) return { kind: 'foreign', at };
    const { header, digest, bytes } = frame;
    const { ordinal, digest: previous } = this.#position;
    if (header.firstOrdinal !== ordinal || !equalBytes(header.previous, previous))
      return { kind: 'misplaced', at };
    this.#at += header.length;
    this.#position = { ordinal: ordinal + header.records, digest };
    return { kind: 'frame', bytes, at, header, digest };
  }

  /** Where the chain stands. */
  get position(): ChainPosition {
    return this.#position;
  }

  /**
   * Looks behind a place that is not a frame for a genuine frame that says that the place was durable when it was
   * written: then the place is damaged, and not the torn end of the last write. False lengths could make this take
   * very long, so the work is bounded, and reaching the bound counts as found.
   */
  async findsLaterFrame(): Promise<boolean> {
    let budget = 16 * (this.#size - this.#at) + 16 * WINDOW_BYTES;
    const found = await this.#findMagic(this.#at + 1, (at) => {
      if (!this.#canBeFrame(at)) return false;
      const header = this.#headerAt(at);
      if (header === undefined) return false;
      budget -= header.length;
      if (budget < 0) return true;
      return this.#frameAt(at)?.digest !== undefined && header.watermark >= this.#position.ordinal;
    });
    return found !== undefined;
  }

  /**
   * Continues at the next genuine frame with a first record not below `ordinal`, and skips everything before it;
   * for salvage only.
   * @returns the ordinal of its first record, or `undefined` when there is none.
   */
  async resume(ordinal: number): Promise<number | undefined> {
    const found = await this.#findMagic(this.#at, (at) => {
      if (!this.#canBeFrame(at)) return false;
      const frame = this.#frameAt(at);
      return frame?.digest !== undefined && frame.header.firstOrdinal >= ordinal;
    });
    const header = found === undefined ? undefined : this.#headerAt(found);
    if (found === undefined || header === undefined) return undefined;
    this.#at = found;
    this.#position = { ordinal: header.firstOrdinal, digest: copyBytes(header.previous) };
    return header.firstOrdinal;
  }

  #isRoom(at: number): boolean {
    const length = this.#size - at;
    if (length > MAX_ZEROS) return false;
    const bytes = this.#read(at, length);
    // All alike, and zero.
    return bytes.length === length && bytes[0] === 0 && bytes.compare(bytes, 1, length, 0, length - 1) === 0;
  }

  /** The first place from here on that starts like a frame and is accepted; other tasks get a turn between the checks. */
  async #findMagic(from: number, accepts: (at: number) => boolean): Promise<number | undefined> {
    const breather = new Breather();
    for (let start = from; start + FRAME_HEADER_BYTES <= this.#size; ) {
      const window = this.#read(start, Math.min(WINDOW_BYTES, this.#size - start));
      // The file has become shorter since its size was asked for.
      if (window.length === 0) return undefined;
      let candidates = 0;
      for (let at = window.indexOf(FRAME_MAGIC); at >= 0; at = window.indexOf(FRAME_MAGIC, at + 1)) {
        if (accepts(start + at)) return start + at;
        candidates += 1;
        if (candidates % CANDIDATES_A_LOOK === 0 && breather.isDue) await breather.pause();
      }
      if (breather.isDue) await breather.pause();
      start += Math.max(1, window.length - FRAME_MAGIC.length + 1);
    }
    return undefined;
  }

  /** A quick check of the claimed length: a file full of frame headers must not cost minutes. */
  #canBeFrame(at: number): boolean {
    if (at + FRAME_HEADER_BYTES > this.#size) return false;
    const bytes = this.#read(at, FRAME_HEADER_BYTES);
    return (
      bytes.length === FRAME_HEADER_BYTES &&
      claimedLength(bytes) <= Math.min(MAX_FRAME_BYTES, this.#size - at)
    );
  }

  #headerAt(at: number): FrameHeader | undefined {
    return readFrameHeader(this.#read(at, Math.min(FRAME_HEADER_BYTES, this.#size - at)), 0);
  }

  /** Before a length that anybody may have written costs memory. */
  #canBeAt(at: number, { length }: FrameHeader): boolean {
    return length <= MAX_FRAME_BYTES && at + length <= this.#size;
  }

  #frameAt(at: number) {
    const header = this.#headerAt(at);
    if (header === undefined) return undefined;
    if (!this.#canBeAt(at, header)) return { header, digest: undefined, bytes: Buffer.alloc(0) };
    const bytes = this.#read(at, header.length);
    // The header again: it must stay valid when the window moves.
    return { header: readFrameHeader(bytes, 0) ?? header, digest: frameDigest(bytes, this.#chainKey), bytes };
  }

  /** Bytes of the file, out of a window that is read in one go. Valid until the next call. */
  #read(at: number, length: number): Buffer {
    const offset = at - this.#windowAt;
    if (offset >= 0 && offset + length <= this.#window.length)
      return this.#window.subarray(offset, offset + length);
    const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.#size - at);
    const window = Buffer.allocUnsafeSlow(wanted);
    const read = this.#handle.readSync(window, at);
    this.#window = window.subarray(0, read);
    this.#windowAt = at;
    return this.#window.subarray(0, length);
  }
}
