import { compareBytes, utf8 } from '../bytes/concat.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { ReadableNamespace } from '../store/api/store-api.ts';
import {
  decodeField,
  type Fields,
  type FieldValues,
  fieldName,
  fieldPrefix,
  fieldType,
  idName,
  parseIdName,
  type RecordId,
  type RecordType,
  type RecordValues,
} from './record-type.ts';

/** Which records to find; without a member: all records of the type. */
export interface RecordQuery<F extends Fields, Field extends keyof F & string = keyof F & string> {
  /** Only records in which this field is set. */
  readonly field?: Field;
  /** Only records for which this is true. It must be synchronous and must not write. */
  readonly filter?: (values: RecordValues<F>, id: RecordId) => boolean;
}

/** One record that a query found. */
export interface FoundRecord<F extends Fields> {
  readonly id: RecordId;
  readonly values: RecordValues<F>;
}

/** Names and values as they are now: of a namespace, or of a transaction, which adds its own writes. */
export type RecordSource = Pick<ReadableNamespace, 'get' | 'names'>;

/** All fields of one record; none when there is no such record. */
export async function readRecord<F extends Fields>(
  source: RecordSource,
  type: RecordType<F>,
  id: RecordId,
): Promise<RecordValues<F>> {
  const values: Record<string, FieldValues[keyof FieldValues]> = {};
  for (const field of Object.keys(type.fields)) {
    const bytes = await source.get(fieldName(type.name, field, id));
    if (bytes !== undefined)
      values[field] = decodeField(fieldType(type, field), bytes, `${type.name}.${field}`);
  }
  // Field by field, the values have just been read with the declared types.
  return values as RecordValues<F>;
}

/**
 * Records of a type, integer ids first and ascending, then string ids by their UTF-8 bytes.
 * @throws EvidenceError RECORD_NOT_FOUND when none matches.
 */
export async function queryRecords<F extends Fields>(
  source: RecordSource,
  type: RecordType<F>,
  { field, filter }: RecordQuery<F>,
): Promise<readonly FoundRecord<F>[]> {
  if (field !== undefined) fieldType(type, field);
  const fields = field === undefined ? Object.keys(type.fields) : [field];
  const found: FoundRecord<F>[] = [];
  for (const id of idsOf(source, type.name, fields)) {
    const values = await readRecord(source, type, id);
    if (filter === undefined || filter(values, id)) found.push({ id, values });
  }
  if (found.length > 0) return found;
  throw new EvidenceError('RECORD_NOT_FOUND', `no ${type.name} matches`);
}

/** Ids that have any of the fields, each once, in order. */
function idsOf(source: RecordSource, type: string, fields: readonly string[]): readonly RecordId[] {
  const names = new Set<string>();
  for (const field of fields) {
    const prefix = fieldPrefix(type, field);
    for (const name of source.names({ prefix })) names.add(name.slice(prefix.length));
  }
  const sorted = [...names].map((name) => [name, utf8(name)] as const);
  sorted.sort((a, b) => compareBytes(a[1], b[1]));
  return sorted.map(([name]) => parseIdName(name));
}

/** @throws EvidenceError RECORD_NOT_FOUND when the record has no field. */
export function requireRecord<F extends Fields>(
  type: RecordType<F>,
  id: RecordId,
  values: RecordValues<F>,
): RecordValues<F> {
  if (Object.keys(values).length > 0) return values;
  throw new EvidenceError('RECORD_NOT_FOUND', `there is no ${type.name} ${idName(id).slice(1)}`);
}
