import { concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import { tryFromHex } from '../bytes/hex.ts';
import { sha384 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type MeasuredEvent, RTMR_BYTES, rtmrNames } from './event-log.ts';
import { JsonFields } from './json-fields.ts';
import { frozenWithJson } from './printable.ts';

/** Type of the events that dstack itself measures, at run time into RTMR3. */
const DSTACK_EVENT = 0x0800_0001;
const CODE = 'EVENT_LOG_MALFORMED';
const MAX_EVENTS = 10_000;
const MAX_TEXT = 4_000_000;

/**
 * Reads dstack's event log: a JSON array of `imr` (0 to 3), `event_type`, `digest` (hex), `event` (name) and
 * `event_payload` (hex). Digests of dstack's own events are SHA-384(type as u32, little-endian ‖ ":" ‖ name ‖ ":" ‖
 * payload); a digest that differs is refused, since name and payload would be anybody's words.
 * @throws EvidenceError EVENT_LOG_MALFORMED.
 */
export function parseDstackLog(json: string): readonly MeasuredEvent[] {
  const log = parseArray(json);
  if (log.length > MAX_EVENTS) refuse('log', `at most ${MAX_EVENTS} events`, `${log.length}`);
  return log.map((entry, index) => readEvent(new JsonFields(entry, `log[${index}]`, CODE), index));
}

function parseArray(json: string): readonly unknown[] {
  let parsed: unknown;
  try {
    parsed = json.length > MAX_TEXT ? undefined : JSON.parse(json);
  } catch {
    parsed = undefined;
  }
  return Array.isArray(parsed) ? parsed : refuse('log', 'a JSON array', 'something else');
}

function readEvent(fields: JsonFields, index: number): MeasuredEvent {
  const register = rtmrNames[fields.oneOf('imr', [0, 1, 2, 3])];
  const type = fields.integer('event_type', 0xffff_ffff);
  const name = fields.string('event');
  const digest = fields.hex('digest', RTMR_BYTES);
  const payload = fields.string('event_payload');
  const content = tryFromHex(payload) ?? fields.fail('event_payload', 'hex', payload);
  const own = ownDigest(type, name, content);
  const isContentMeasured = equalBytes(type === DSTACK_EVENT ? own : sha384(content), digest);
  if (type === DSTACK_EVENT && !isContentMeasured)
    refuse(`log[${index}].digest`, 'the hash of type, name and payload', 'another value');
  return frozenWithJson({ register, type, digest, name, content, isContentMeasured });
}

function ownDigest(type: number, name: string, payload: Uint8Array): Uint8Array {
  const typeBytes = new Uint8Array(4);
  new DataView(typeBytes.buffer).setUint32(0, type, true);
  const colon = utf8(':');
  return sha384(concatBytes(typeBytes, colon, utf8(name), colon, payload));
}

function refuse(field: string, expected: string, observed: string): never {
  throw new EvidenceError(CODE, `event log: ${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
}
