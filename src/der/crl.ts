import { toHex } from '../bytes/hex.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { readSerialNumber, readSignatureAlgorithm } from './certificate.ts';
import { contextTag, DerReader, tags } from './der-reader.ts';
import { readEcdsaSignature } from './ecdsa-signature.ts';
import { extensionOids, readExtensions } from './extensions.ts';
import { type Name, readName } from './name.ts';
import { readTimeMs } from './time.ts';

/** An X.509 v2 certificate revocation list, ecdsa-with-SHA256. Nothing is verified yet. */
export interface Crl {
  readonly document: string;
  /** The signed part. */
  readonly tbs: Uint8Array;
  /** r ‖ s, 64 bytes. */
  readonly signature: Uint8Array;
  readonly issuer: Name;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly crlNumber: bigint;
  /** Serial numbers as `Certificate.serialNumber` has them. */
  readonly revokedSerials: ReadonlySet<string>;
}

const VERSION_2 = 1;
const MAX_CRL_NUMBER_BYTES = 20;
const REASON_CODE = '2.5.29.21';
const INVALIDITY_DATE = '2.5.29.24';

/** Nothing critical is understood: an indirect or delta CRL, or one with a scope, must not pass for a complete one. */
const understoodInList: ReadonlySet<string> = new Set();
/** Both only comment on a revocation that counts anyway. */
const understoodInEntry: ReadonlySet<string> = new Set([REASON_CODE, INVALIDITY_DATE]);

/**
 * Parses one complete CRL strictly (RFC 5280 section 5.1); `nextUpdate`, the CRL number and the authority key
 * identifier are required, as Intel's CRLs have them.
 * @throws EvidenceError with `code`.
 */
export function parseCrl(der: Uint8Array, document: string, code: ErrorCode = 'CRL_MALFORMED'): Crl {
  const context = { code, document };
  const outer = new DerReader(der, context);
  const list = outer.enter();
  outer.end();
  const tbsReader = list.clone();
  const tbs = list.whole(tags.sequence);
  readSignatureAlgorithm(list);
  const signature = readEcdsaSignature(new DerReader(list.byteString(), context));
  list.end();
  const body = tbsReader.enter();
  if (body.smallInteger(VERSION_2) !== VERSION_2) body.fail('CRL version 2', 'an older version');
  readSignatureAlgorithm(body);
  const issuer = readName(body);
  const thisUpdateMs = readTimeMs(body);
  const nextUpdateMs = readTimeMs(body);
  const revokedSerials = readRevokedSerials(body);
  const crlNumber = readCrlNumber(body, context);
  body.end();
  return { document, tbs, signature, issuer, thisUpdateMs, nextUpdateMs, crlNumber, revokedSerials };
}

function readRevokedSerials(body: DerReader): ReadonlySet<string> {
  const serials = new Set<string>();
  const entries = body.enterOptional(tags.sequence);
  while (entries?.hasMore === true) {
    const entry = entries.enter();
    serials.add(readSerialNumber(entry));
    readTimeMs(entry);
    if (entry.hasMore) readExtensions(entry, understoodInEntry);
    entry.end();
  }
  return serials;
}

function readCrlNumber(
  body: DerReader,
  context: { readonly code: ErrorCode; readonly document: string },
): bigint {
  const wrapped = body.enter(contextTag(0));
  const extensions = readExtensions(wrapped, understoodInList);
  wrapped.end();
  if (!extensions.has(extensionOids.authorityKeyIdentifier)) body.fail('an authority key identifier', 'none');
  const extension = extensions.get(extensionOids.crlNumber) ?? body.fail('a CRL number', 'none');
  const reader = new DerReader(extension, context);
  const bytes = reader.unsignedInteger();
  reader.end();
  if (bytes.length > MAX_CRL_NUMBER_BYTES)
    body.fail('a CRL number of at most 20 bytes', `${bytes.length} bytes`);
  return BigInt(`0x${toHex(bytes)}`);
}
