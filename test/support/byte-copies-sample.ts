import { SlotId } from '../../src/bytes/fixed-bytes.ts';

// Read by test/unit/architecture/byte-copies.test.ts, which must find exactly the marked lines; never run.

interface Holder {
  readonly bytes?: Uint8Array;
}

export const samples = (bytes: Uint8Array, buffer: Buffer, text: string, holder: Holder, list: number[]) => [
  bytes.slice(), // violation
  buffer.slice(0, 4), // violation
  SlotId.of(bytes).slice(), // violation
  holder.bytes?.slice(), // violation
  (holder.bytes ?? text).slice(1), // violation
  [bytes].map((one) => one.slice()), // violation
  bytes.slice.bind(bytes), // violation
  bytes.subarray(1),
  text.slice(1),
  list.slice(1),
  bytes.buffer.slice(1),
];
