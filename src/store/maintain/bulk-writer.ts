import type { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { syncFile } from '../files/files.ts';
import type { Location } from '../index/ordered-index.ts';
import { FrameBuilder } from '../log/frame.ts';
import type { RecordContent } from '../log/record.ts';
import type { Segment } from '../log/segment.ts';
import { packAddress, packExtent } from '../log/segment-table.ts';
import type { StoreState } from '../store-state.ts';

const FRAME_BYTES = 1024 * 1024;
/** Of the random number of the first record: with as many as a segment can have behind it, below 2^53. */
const ORDINAL_BYTES = 6;

/** Writes many records into new compacted segments, which no manifest lists until they are handed over. */
export class BulkWriter {
  readonly #state: StoreState;
  readonly #frame = new FrameBuilder(FRAME_BYTES + 65_536);
  readonly #segments: Segment[] = [];
  /** The segment that takes records now. */
  #current: Segment | undefined;

  constructor(state: StoreState) {
    this.#state = state;
  }

  /** The segments written so far, in order. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /**
   * Seals a record under the present keys and writes it, with others, when a frame is full.
   * @returns where it will be.
   */
  async append(content: RecordContent, inner: XChaCha20Key | undefined): Promise<Location> {
    return this.put(await this.segmentForNext(), content, inner);
  }

  /** As {@link append}, at once, into what {@link segmentForNext} just gave. */
  put(segment: Segment, content: RecordContent, inner: XChaCha20Key | undefined): Location {
    const ordinal = segment.nextOrdinal + this.#frame.records;
    const position = { segmentId: segment.id, ordinal };
    const { offset, length } = this.#state.sealer.seal(
      this.#frame,
      segment.keys.records,
      position,
      content,
      inner,
    );
    return {
      address: packAddress(segment, segment.length + offset),
      extent: packExtent(segment, ordinal, length),
    };
  }

  /** Writes a full frame, and begins another segment when this one is full. @returns where the next record goes. */
  async segmentForNext(): Promise<Segment> {
    if (this.#frame.length >= FRAME_BYTES) await this.#flush();
    const current = this.#current;
    if (current !== undefined && current.length + this.#frame.length < this.#state.tuning.segmentBytes)
      return current;
    await this.finish();
    const { random } = this.#state.tuning;
    // Not from 0: what a compaction that was cut off wrote under the same number of a segment must not open in this one.
    const firstOrdinal = Buffer.from(random(ORDINAL_BYTES)).readUIntBE(0, ORDINAL_BYTES);
    const start = { kind: 'compacted', firstOrdinal, previous: random(32) } as const;
    const segment = await this.#state.log.create(start, this.#state.keys.current);
    this.#segments.push(segment);
    this.#current = segment;
    return segment;
  }

  /**
   * Writes what is left and makes everything durable. A finished segment keeps no descriptor for writing: a run may make
   * more segments than the process may have open files.
   */
  async finish(): Promise<void> {
    await this.#flush();
    const finished = this.#current;
    this.#current = undefined;
    if (finished === undefined) return;
    await syncFile(finished.handle);
    await this.#state.settle(finished);
  }

  /** Removes everything that was written; for work that was given up. */
  async discard(): Promise<void> {
    for (const segment of this.#segments.splice(0)) await this.#state.log.discard(segment);
  }

  async #flush(): Promise<void> {
    const segment = this.#current;
    const { records } = this.#frame;
    if (segment === undefined || records === 0) return;
    const { frame, digest } = this.#frame.finish({
      storeId: this.#state.storeId,
      firstOrdinal: segment.nextOrdinal,
      watermark: Math.max(0, segment.nextOrdinal - 1),
      previous: segment.digest,
      chainKey: segment.keys.chainKey.reveal(),
    });
    await segment.handle.write([frame], segment.length);
    segment.length += frame.length;
    this.#state.log.bytesSinceCheckpoint += frame.length;
    segment.nextOrdinal += records;
    segment.digest = digest;
    this.#frame.reset();
  }
}
