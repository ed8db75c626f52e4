import type { RuntimeLayout, ServerInfoField } from './runtime-layout.ts';
import { ScaleReader } from './scale-reader.ts';

/** Validators or signers; the largest networks have some thousand. More is junk that must not fill our memory. */
const MAX_ACCOUNTS = 20_000;
const MAX_MEASUREMENTS = 10_000;
const ACCOUNT_BYTES = 32;
const TIMESTAMP_BYTES = 8;

/** A threshold server's record as the chain stores it, before any of it is judged. */
export interface ServerInfo {
  /** 32 bytes. */
  readonly account: Uint8Array;
  /** 32 bytes. */
  readonly x25519PublicKey: Uint8Array;
  readonly endpoint: Uint8Array;
  readonly quote: Uint8Array;
}

/** Decoders for one version of the runtime; each throws on bytes that are not exactly one canonical value. */
export interface RecordDecoders {
  /** SCALE of SupportedCvmServices::EntropyTss, the map key of the accepted measurements. */
  readonly entropyTssKey: Uint8Array;
  serverInfo(bytes: Uint8Array): ServerInfo;
  accounts(bytes: Uint8Array): readonly Uint8Array[];
  measurements(bytes: Uint8Array): readonly Uint8Array[];
  /** Milliseconds; `undefined` when this runtime has no Timestamp.Now. */
  timestampMs(bytes: Uint8Array): number | undefined;
}

/** Reads one whole value. */
function whole<T>(bytes: Uint8Array, read: (reader: ScaleReader) => T): T {
  const reader = new ScaleReader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}

function listOf(reader: ScaleReader, most: number, item: () => Uint8Array): readonly Uint8Array[] {
  const count = reader.count();
  if (count > most) throw new RangeError(`${count} items, at most ${most} expected`);
  return Array.from({ length: count }, item);
}

function readServerInfo(layout: RuntimeLayout['serverInfo'], reader: ScaleReader): ServerInfo {
  const fields = new Map<ServerInfoField, Uint8Array>();
  for (const part of layout) {
    if (typeof part !== 'string') reader.skip(part);
    else {
      const isBytes = part === 'endpoint' || part === 'tdxQuote';
      // A copy, so that a record does not keep the whole answer alive.
      fields.set(part, new Uint8Array(isBytes ? reader.byteVec() : reader.take(32)));
    }
  }
  const field = (name: ServerInfoField): Uint8Array => {
    const value = fields.get(name);
    if (value === undefined) throw new RangeError(`no field ${name}`);
    return value;
  };
  return {
    account: field('tssAccount'),
    x25519PublicKey: field('x25519PublicKey'),
    endpoint: field('endpoint'),
    quote: field('tdxQuote'),
  };
}

function readTimestamp(bytes: Uint8Array): number {
  if (bytes.length !== TIMESTAMP_BYTES) throw new RangeError('a timestamp has 8 bytes');
  return Number(new DataView(bytes.buffer, bytes.byteOffset, TIMESTAMP_BYTES).getBigUint64(0, true));
}

/** The decoders for the records of a runtime with this layout. */
export function recordDecoders(layout: RuntimeLayout): RecordDecoders {
  return {
    entropyTssKey: Uint8Array.of(layout.entropyTssIndex),
    serverInfo: (bytes) => whole(bytes, (reader) => readServerInfo(layout.serverInfo, reader)),
    accounts: (bytes) =>
      whole(bytes, (reader) => listOf(reader, MAX_ACCOUNTS, () => reader.take(ACCOUNT_BYTES))),
    measurements: (bytes) =>
      whole(bytes, (reader) => listOf(reader, MAX_MEASUREMENTS, () => reader.byteVec())),
    timestampMs: (bytes) => (layout.hasTimestamp ? readTimestamp(bytes) : undefined),
  };
}
