import { EvidenceError } from '../errors/latchkey-error.ts';
import type { Decryption } from './decryption.ts';
import { JsonCursor } from './json-cursor.ts';
import { tryFromLenientBase64 } from './lenient-base64.ts';

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

/**
 * Reads the body of a PUT: `{"value": <integer of 64 bits>, "signature": "<base64>"}`, or the two in an array, as
 * the original service reads it. Unknown members are ignored, padding of the base64 is optional.
 * @throws EvidenceError BODY_NOT_JSON, DECRYPTION_BODY_SHAPE or DECRYPTION_SIGNATURE_INVALID.
 */
export function parsePutBody(bytes: Uint8Array): Decryption {
  const cursor = new JsonCursor(decodeUtf8(bytes));
  const { value, signature } = readFields(cursor);
  cursor.end();
  const decoded = tryFromLenientBase64(signature);
  if (decoded !== undefined) return { value, signature: decoded };
  throw new EvidenceError('DECRYPTION_SIGNATURE_INVALID', 'signature is not base64', {
    field: 'signature',
    expected: 'standard base64, padded or not, with zero trailing bits',
    observed: `${signature.length} characters that are not`,
  });
}

interface Fields {
  readonly value: bigint;
  readonly signature: string;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new EvidenceError('BODY_NOT_JSON', 'the body is not UTF-8', { cause });
  }
}

function readFields(cursor: JsonCursor): Fields {
  if (cursor.take('{')) return readObject(cursor);
  if (cursor.take('[')) return readArray(cursor);
  throw cursor.wrongType('body', 'an object with value and signature');
}

function readObject(cursor: JsonCursor): Fields {
  let value: bigint | undefined;
  let signature: string | undefined;
  for (let first = true; !cursor.take('}'); first = false) {
    if (!first) cursor.expect(',');
    if (cursor.peek() !== '"') throw cursor.notJson('a member name expected');
    const name = cursor.string();
    if ((name === 'value' && value !== undefined) || (name === 'signature' && signature !== undefined)) {
      throw cursor.shape(name, 'one member of this name', 'two');
    }
    cursor.expect(':');
    if (name === 'value') value = readUint64(cursor);
    else if (name === 'signature') signature = readSignature(cursor);
    else cursor.skip();
  }
  if (value === undefined) throw cursor.shape('value', 'an integer of 64 bits', 'nothing');
  if (signature === undefined) throw cursor.shape('signature', 'a base64 string', 'nothing');
  return { value, signature };
}

function readArray(cursor: JsonCursor): Fields {
  if (cursor.peek() === ']') throw cursor.shape('body', 'two elements', 'none');
  const value = readUint64(cursor);
  if (cursor.peek() === ']') throw cursor.shape('body', 'two elements', 'one');
  cursor.expect(',');
  // `[42,]` is broken JSON rather than a wrong shape; wrongType below reports it so, as `]` starts no value.
  const signature = readSignature(cursor);
  cursor.expect(']');
  return { value, signature };
}

function readUint64(cursor: JsonCursor): bigint {
  const expected = 'an integer from 0 to 18446744073709551615';
  const character = cursor.peek();
  if (character !== '-' && !(character >= '0' && character <= '9')) throw cursor.wrongType('value', expected);
  const token = cursor.number();
  // The minus is refused by its sign, since BigInt('-0') is 0.
  const value = token.integer && !token.text.startsWith('-') ? BigInt(token.text) : undefined;
  if (value === undefined || value > MAX_UINT64) throw cursor.shape('value', expected, 'another number');
  return value;
}

function readSignature(cursor: JsonCursor): string {
  if (cursor.peek() !== '"') throw cursor.wrongType('signature', 'a base64 string');
  return cursor.string();
}
