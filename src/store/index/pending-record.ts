import type { FrameBuilder } from '../log/frame.ts';
import type { Segment } from '../log/segment.ts';

/** A record that is sealed into a frame and not durable yet. */
export interface PendingRecord {
  readonly segment: Segment;
  readonly frame: Pick<FrameBuilder, 'view'>;
  /** Offset of the nonce within the frame. */
  readonly offset: number;
  /** Length of nonce ‖ ciphertext ‖ tag. */
  readonly length: number;
  readonly ordinal: number;
  /** True for a deletion: once it is durable the name is gone. */
  readonly deletes: boolean;
}
