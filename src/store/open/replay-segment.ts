import { equalBytes } from '../../bytes/concat.ts';
import { Breather } from '../breather.ts';
import { damagedAt } from '../files/disk-failure.ts';
import type { LogPosition } from '../log/checkpoint-format.ts';
import type { ListedSegment } from '../log/manifest.ts';
import { SEGMENT_HEADER_BYTES, type Segment, segmentFileName } from '../log/segment.ts';
import { type ScanEnd, SegmentScan } from '../log/segment-scan.ts';
import type { StoreState } from '../store-state.ts';
import type { AskedDigests } from './asked-digests.ts';
import type { OpenedSegment } from './open-files.ts';
import type { Replay } from './replay.ts';

/** The role of a segment in the store, and the receiver of its records. */
export interface SegmentRole {
  /** Only the segment being written may have a torn tail. */
  readonly isLast: boolean;
  readonly replay: Replay;
  readonly digests: AskedDigests;
  /** Where the checkpoint stands in this segment: what is before is verified and not replayed. */
  readonly checkpoint: CoveredPart | undefined;
}

/** The part of a segment that a checkpoint covers. */
export interface CoveredPart {
  /** Bytes of the segment; `Infinity` for all of it. */
  readonly bytes: number;
  /** The position, where it is in this segment. */
  readonly position: LogPosition | undefined;
}

/** Verifies and replays one segment. @returns length of the torn tail. */
export async function replaySegment(
  state: StoreState,
  opened: OpenedSegment,
  role: SegmentRole,
): Promise<number> {
  const { segment, listed, header, size } = opened;
  const isLog = header.kind === 'log';
  if (isLog) role.digests.beginAfter(header.firstOrdinal - 1, header.previous);
  const scan = new SegmentScan(
    { handle: opened.readable, size, from: SEGMENT_HEADER_BYTES },
    { storeId: state.storeId, chainKey: segment.keys.chainKey.reveal() },
    { ordinal: header.firstOrdinal, digest: header.previous },
  );
  // A large store takes seconds to read; timers and requests need their turns.
  const breather = new Breather();
  const covered = role.checkpoint?.bytes ?? 0;
  checkPosition(role.checkpoint?.position, segment);
  let found = scan.next();
  while (found.kind === 'frame') {
    checkWatermark(listed, found.at, scan, segment);
    if (found.at >= covered) await role.replay.frame(segment, found, breather);
    segment.length = found.at + found.bytes.length;
    segment.nextOrdinal = scan.position.ordinal;
    segment.digest = scan.position.digest;
    if (isLog) role.digests.advanceTo(segment.nextOrdinal - 1, segment.digest);
    if (found.at < covered) checkPosition(role.checkpoint?.position, segment);
    if (breather.isDue) await breather.pause();
    found = scan.next();
  }
  checkWatermark(listed, found.at, scan, segment);
  if (found.kind === 'room' && role.isLast && found.at >= listed.length) {
    segment.room = size - found.at;
    return 0;
  }
  if (found.kind !== 'end') await judgeEnd(found, scan, opened, role.isLast);
  // Also the last one: it may have become shorter since its size was asked for.
  else if (role.isLast ? size < listed.length : size !== listed.length)
    throw damagedAt('STORE_SEGMENT_DAMAGED', segmentFileName(segment.id), size, 'another length than it had');
  return size - segment.length;
}

/** At the place that the manifest knows to be durable, the chain must stand where the manifest says. */
function checkWatermark(listed: ListedSegment, at: number, scan: SegmentScan, segment: Segment): void {
  const passed = segment.length;
  if (passed !== listed.length || at < passed) return;
  // The digest covers the number of the record too.
  if (!equalBytes(segment.digest, listed.digest))
    throw damagedAt(
      'STORE_RECORD_MISPLACED',
      segmentFileName(segment.id),
      passed,
      `the log up to here is not the one that was durable (record ${scan.position.ordinal})`,
    );
}

/** The log goes through the position of its checkpoint, which was durable before the manifest listed it. */
function checkPosition(
  position: LogPosition | undefined,
  { id, length, nextOrdinal, digest }: Segment,
): void {
  if (position === undefined || length < position.length) return;
  if (
    length === position.length &&
    nextOrdinal === position.nextOrdinal &&
    equalBytes(digest, position.digest)
  )
    return;
  throw damagedAt(
    'STORE_RECORD_MISPLACED',
    segmentFileName(id),
    length,
    `the log up to here is not the one of the checkpoint (record ${nextOrdinal})`,
  );
}

/** Decides whether a place that does not continue the chain is the torn end of the last write, or damage. */
async function judgeEnd(
  end: ScanEnd,
  scan: SegmentScan,
  { segment, listed }: OpenedSegment,
  isLast: boolean,
): Promise<void> {
  const file = segmentFileName(segment.id);
  if (end.kind === 'misplaced')
    throw damagedAt('STORE_RECORD_MISPLACED', file, end.at, 'a genuine frame lies where another one belongs');
  const isDurable = !isLast || end.at < listed.length;
  // A torn write may contain any bytes, so the store mark is checked in durable bytes only.
  if (end.kind === 'foreign' || (isDurable && end.kind === 'strange'))
    throw damagedAt('STORE_RECORD_FOREIGN', file, end.at, 'a frame carries the mark of another store');
  if (isDurable) throw damagedAt('STORE_SEGMENT_DAMAGED', file, end.at, 'a frame does not authenticate');
  if (await scan.findsLaterFrame())
    throw damagedAt(
      'STORE_SEGMENT_DAMAGED',
      file,
      end.at,
      'a frame does not authenticate, and a later one says that it was durable',
    );
}
