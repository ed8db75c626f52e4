import { tryFromHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { tdReport15ExtendedLayout } from './quote-layout.ts';
import { tcbStatuses } from './tcb-status.ts';
import { tdAttributeBits, XFAM_FIXED_0, XFAM_FIXED_1 } from './td-attributes.ts';
import {
  type ExtendedReportPolicy,
  type MeasurementField,
  measurementFields,
  type TdPolicy,
} from './td-policy.ts';

/** Only UpToDate, no debug, not migratable, SEPT_VE_DISABLE, no service TD, no extended report; any measurement. */
export const defaultPolicy: TdPolicy = Object.freeze({
  acceptedTcbStatuses: ['UpToDate'],
  tcbGraceDays: 0,
  acceptedAdvisoryIds: undefined,
  deniedAdvisoryIds: [],
  minimumTcbEvaluationDataNumber: 0,
  requireSeptVeDisable: true,
  allowPks: true,
  allowPerfmon: true,
  allowKl: false,
  allowMigratable: false,
  extraTdAttributes: 0n,
  requiredXfam: XFAM_FIXED_1,
  allowedXfam: XFAM_FIXED_0,
  mrServiceTd: [new Uint8Array(48)],
  extendedReport: undefined,
  measurements: new Map(),
} satisfies TdPolicy);

const acceptableStatuses = tcbStatuses.filter((status) => status !== 'Revoked');
const NEVER_ACCEPTABLE_ATTRIBUTES = 0xffn;
const MAX_GRACE_DAYS = 3650;

function refuse(field: string, expected: string, observed: unknown): never {
  const shown = shownOf(observed);
  throw new ProblemError('POLICY_INVALID', `policy: ${field} must be ${expected}, got ${shown}`, {
    field,
    expected,
    observed: shown,
  });
}

/** Lists and objects are not printed: a deep one would overflow the stack. */
function shownOf(observed: unknown): string {
  if (typeof observed !== 'object' || observed === null) return `${JSON.stringify(observed)}`.slice(0, 80);
  return Array.isArray(observed) ? 'a list' : 'an object';
}

type Reader<Value> = (value: unknown, field: string) => Value;

const boolean: Reader<boolean> = (value, field) =>
  typeof value === 'boolean' ? value : refuse(field, 'true or false', value);

const integerUpTo =
  (max: number): Reader<number> =>
  (value, field) => {
    const isGood = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
    return isGood ? value : refuse(field, `an integer from 0 to ${max}`, value);
  };

const list =
  <Value>(read: Reader<Value>): Reader<readonly Value[]> =>
  (value, field) =>
    Array.isArray(value) ? value.map((entry) => read(entry, field)) : refuse(field, 'a list', value);

const advisoryId: Reader<string> = (value, field) =>
  typeof value === 'string' && value !== '' ? value : refuse(field, 'a list of advisory ids', value);

const acceptedStatus: Reader<TdPolicy['acceptedTcbStatuses'][number]> = (value, field) =>
  acceptableStatuses.find((status) => status === value) ??
  refuse(field, `a list of ${acceptableStatuses.join(', ')}`, value);

const bytesOf =
  (byteLength: number): Reader<Uint8Array> =>
  (value, field) => {
    const bytes = typeof value === 'string' ? tryFromHex(value) : undefined;
    return bytes?.length === byteLength
      ? bytes
      : refuse(field, `a list of hex of ${byteLength} bytes`, value);
  };

/** A 64-bit mask as a number in hex: bit 0 is the last digit's lowest bit. */
const mask: Reader<bigint> = (value, field) =>
  typeof value === 'string' && /^0x[0-9a-fA-F]{1,16}$/.test(value)
    ? BigInt(value)
    : refuse(field, '0x and 1 to 16 hex digits', value);

const extraAttributes: Reader<bigint> = (value, field) => {
  const bits = mask(value, field);
  if ((bits & NEVER_ACCEPTABLE_ATTRIBUTES) !== 0n) refuse(field, 'without bits 0 to 7', value);
  if ((bits & tdAttributeBits.MIGRATABLE) !== 0n) {
    refuse(field, 'without bit 29 (MIGRATABLE), which allowMigratable allows', value);
  }
  return bits;
};

/** An allow list of values with this number of bytes, or the text "any". */
const listOrAny =
  (byteLength: number): Reader<readonly Uint8Array[] | 'any'> =>
  (value, field) =>
    value === 'any' ? value : list(bytesOf(byteLength))(value, field);

/** All ten fields are required, so that a policy cannot leave one of them unchecked by mistake. */
const extendedReport: Reader<ExtendedReportPolicy> = (value, field) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(field, 'an object with a rule for every field of the extended TD report', value);
  }
  const given = new Map<string, unknown>(Object.entries(value));
  const rule = (name: keyof ExtendedReportPolicy): readonly Uint8Array[] | 'any' => {
    const [, byteLength] = tdReport15ExtendedLayout[name];
    if (!given.has(name)) refuse(`${field}.${name}`, 'an allow list, or "any"', undefined);
    return listOrAny(byteLength)(given.get(name), `${field}.${name}`);
  };
  const policy: ExtendedReportPolicy = {
    vmid: rule('vmid'),
    tdId: rule('tdId'),
    devInfo: rule('devInfo'),
    initServTdHash: rule('initServTdHash'),
    initServTdAttributes: rule('initServTdAttributes'),
    initCpuSvn: rule('initCpuSvn'),
    initTeeTcbSvn: rule('initTeeTcbSvn'),
    initTeeFmspc: rule('initTeeFmspc'),
    curServTdHash: rule('curServTdHash'),
    curServTdAttributes: rule('curServTdAttributes'),
  };
  const unknown = [...given.keys()].find((name) => !Object.hasOwn(policy, name));
  if (unknown !== undefined) {
    refuse(`${field}.${unknown.slice(0, 80)}`, 'a field of the extended TD report', given.get(unknown));
  }
  return Object.freeze(policy);
};

/** A reader for each field of the file except the measurements; the type makes the list complete. */
const readers: { readonly [Name in keyof Omit<TdPolicy, 'measurements'>]: Reader<TdPolicy[Name]> } = {
  acceptedTcbStatuses: list(acceptedStatus),
  tcbGraceDays: integerUpTo(MAX_GRACE_DAYS),
  acceptedAdvisoryIds: list(advisoryId),
  deniedAdvisoryIds: list(advisoryId),
  minimumTcbEvaluationDataNumber: integerUpTo(0xffff_ffff),
  requireSeptVeDisable: boolean,
  allowPks: boolean,
  allowPerfmon: boolean,
  allowKl: boolean,
  allowMigratable: boolean,
  extraTdAttributes: extraAttributes,
  requiredXfam: mask,
  allowedXfam: mask,
  mrServiceTd: list(bytesOf(48)),
  extendedReport,
};

/**
 * Reads a policy: the JSON object of a policy file. Absent fields have their defaults; unknown ones are refused.
 * @throws ProblemError POLICY_INVALID naming the field.
 */
export function parsePolicy(json: unknown): TdPolicy {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return refuse('policy', 'an object', json);
  const policy: { -readonly [Name in keyof TdPolicy]: TdPolicy[Name] } = { ...defaultPolicy };
  const measurements = new Map<MeasurementField, readonly Uint8Array[]>();
  for (const [name, value] of Object.entries(json)) {
    const measured = measurementFields.find((field) => field === name);
    if (measured !== undefined) {
      measurements.set(measured, list(bytesOf(measured === 'reportData' ? 64 : 48))(value, name));
    } else if (isReadable(name)) {
      // Reader and field have the same name, hence the same type; TypeScript cannot see that across the lookup.
      Object.assign(policy, { [name]: readers[name](value, name) });
    } else refuse(name.slice(0, 80), 'a field of the policy', value);
  }
  return Object.freeze({ ...policy, measurements });
}

const isReadable = (name: string): name is keyof typeof readers => Object.hasOwn(readers, name);
