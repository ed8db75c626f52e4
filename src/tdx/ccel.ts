import { equalBytes, utf8 } from '../bytes/concat.ts';
import { sha384 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type MeasuredEvent, RTMR_BYTES, type RtmrName, rtmrNames } from './event-log.ts';
import { frozenWithJson } from './printable.ts';
import { QuoteReader } from './quote-reader.ts';

// TCG PC Client Platform Firmware Profile 1.05, section 10.2, and UEFI 2.10, section 38.2.

const EV_NO_ACTION = 3;
const ALGORITHM_SHA384 = 0x000c;
const SHA1_BYTES = 20;
const SIGNATURE = utf8('Spec ID Event03\0');
/** Larger than any log; each event costs a hash. */
const MAX_LOG_BYTES = 1024 * 1024;

/**
 * Reads the firmware's event log of a TD, as `/sys/firmware/acpi/tables/data/CCEL` has it. Padding of 0x00 or 0xff at the
 * end is skipped.
 * @returns the events of RTMR0 to RTMR3; not those of MRTD (register 0), which the TDX module measured itself.
 * @throws EvidenceError EVENT_LOG_MALFORMED.
 */
export function parseCcel(log: Uint8Array): readonly MeasuredEvent[] {
  if (log.length > MAX_LOG_BYTES) refuse('log', `at most ${MAX_LOG_BYTES} bytes`, `${log.length} bytes`);
  const reader = new QuoteReader(new Uint8Array(log));
  try {
    const digestBytes = readSpecId(reader);
    const events: MeasuredEvent[] = [];
    while (!isPadding(log.subarray(reader.offset))) {
      const event = readEvent(reader, digestBytes);
      if (event !== undefined) events.push(event);
    }
    return events;
  } catch (error) {
    if (error instanceof EvidenceError && error.code === 'QUOTE_TRUNCATED')
      refuse('length', 'that of whole events', error.message.replace('quote', 'a log that'));
    throw error;
  }
}

/** The first entry, in the format of TPM 1.2, says which digests the others have. */
function readSpecId(reader: QuoteReader): ReadonlyMap<number, number> {
  reader.u32('register of the first event');
  const type = reader.u32('type of the first event');
  if (type !== EV_NO_ACTION) refuse('type of the first event', '3 (EV_NO_ACTION)', `${type}`);
  reader.take(SHA1_BYTES, 'digest of the first event');
  const event = reader.section(reader.u32('length of the first event'), 'first event');
  const signature = event.take(SIGNATURE.length, 'signature');
  if (!equalBytes(signature, SIGNATURE)) refuse('signature', 'Spec ID Event03', 'another one');
  event.take(8, 'platform class and version');
  const count = event.u32('number of algorithms');
  const sizes = new Map<number, number>();
  for (let index = 0; index < count; index += 1) sizes.set(event.u16('algorithm'), event.u16('digest size'));
  if (sizes.get(ALGORITHM_SHA384) !== RTMR_BYTES) refuse('algorithms', 'SHA-384 among them', 'none');
  return sizes;
}

/** `undefined` for an entry that extended none of the four registers. */
function readEvent(reader: QuoteReader, sizes: ReadonlyMap<number, number>): MeasuredEvent | undefined {
  const index = reader.u32('register');
  const type = reader.u32('event type');
  const digest = readDigest(reader, sizes);
  const content = reader.take(reader.u32('event length'), 'event');
  if (type === EV_NO_ACTION) return undefined;
  // Register 0 is MRTD, and 1 to 4 are RTMR0 to RTMR3.
  if (index === 0) return undefined;
  const register: RtmrName = rtmrNames[index - 1] ?? refuse('register', '0 to 4', `${index}`);
  const isContentMeasured = equalBytes(sha384(content), digest);
  return frozenWithJson({ register, type, digest, name: undefined, content, isContentMeasured });
}

/** The SHA-384 digest of an event. */
function readDigest(reader: QuoteReader, sizes: ReadonlyMap<number, number>): Uint8Array {
  const count = reader.u32('number of digests');
  let found: Uint8Array | undefined;
  for (let index = 0; index < count; index += 1) {
    const algorithm = reader.u16('algorithm of a digest');
    const size = sizes.get(algorithm) ?? refuse('algorithm of a digest', 'a known one', `${algorithm}`);
    const digest = reader.take(size, 'digest');
    if (algorithm !== ALGORITHM_SHA384) continue;
    if (found !== undefined) refuse('digests', 'one of SHA-384', 'two');
    found = digest;
  }
  return found ?? refuse('digests', 'one of SHA-384', 'none');
}

/** Padding up to the end of the log: events behind a mark of the end would be hidden. */
const isPadding = (rest: Uint8Array): boolean =>
  rest.every((byte) => byte === 0) || rest.every((byte) => byte === 0xff);

function refuse(field: string, expected: string, observed: string): never {
  throw new EvidenceError('EVENT_LOG_MALFORMED', `event log: ${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
}
