import { latin1 } from '../bytes/native-bytes.ts';
import { type DerReader, tags } from './der-reader.ts';

/** An X.501 Name: its exact bytes, by which issuer and subject are compared, and its one common name, printable ASCII. */
export interface Name {
  /** The whole DER element. */
  readonly der: Uint8Array;
  readonly commonName: string;
}

const COMMON_NAME = '2.5.4.3';
const printableAscii = /^[\x20-\x7e]*$/;

/**
 * Reads a Name of single-valued attributes with exactly one common name. Messages show common names before any
 * signature is verified, so a common name must not contain control characters.
 */
export function readName(reader: DerReader): Name {
  const copy = reader.clone();
  const der = reader.whole(tags.sequence);
  const attributes = copy.enter();
  const commonNames: string[] = [];
  while (attributes.hasMore) {
    const set = attributes.enter(tags.set);
    const attribute = set.enter();
    const type = attribute.oid();
    const isPrintable = attribute.nextTag === tags.printableString;
    const value = attribute.contents(isPrintable ? tags.printableString : tags.utf8String);
    attribute.end();
    set.end();
    if (type === COMMON_NAME) commonNames.push(latin1(value));
  }
  const [commonName, second] = commonNames;
  if (commonName === undefined || second !== undefined) {
    return reader.fail('a name with one common name', `${commonNames.length} common names`);
  }
  return printableAscii.test(commonName)
    ? { der, commonName }
    : reader.fail('a common name in printable ASCII', 'other characters');
}
