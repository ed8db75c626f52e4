import { toHex } from '../../src/bytes/hex.ts';
import { developmentMeasurements } from '../measurements.ts';
import { accepted, type Expectation, refused, type TamperCase, tamperCase } from './tamper-case.ts';

const SEPT_VE_DISABLE = 1n << 28n;
const DEVELOPMENT_XFAM = 0x602e7n;

const littleEndian = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
};

/** A TD with these bits in its attributes. */
const attributeCase = (
  name: string,
  about: string,
  bits: bigint,
  expected: Expectation,
  policy?: TamperCase['policy'],
): TamperCase =>
  tamperCase(
    name,
    'F1',
    about,
    (bench) => bench.asked({ body: { tdAttributes: littleEndian(bits) } }),
    expected,
    policy,
  );

const xfamCase = (name: string, about: string, xfam: bigint, expected: Expectation): TamperCase =>
  tamperCase(name, 'F2', about, (bench) => bench.asked({ body: { xfam: littleEndian(xfam) } }), expected);

const refusedAttributes = refused('TD_ATTRIBUTES_REFUSED', 'UpToDate');
const refusedXfam = refused('XFAM_REFUSED', 'UpToDate');

const attributeCases: readonly TamperCase[] = [
  attributeCase(
    'td-debug',
    'A debug TD: the host reads its memory. Intel’s own verifier accepts it.',
    SEPT_VE_DISABLE | 1n,
    refused('TD_DEBUG', 'UpToDate'),
  ),
  ...[1, 7, 8, 27, 29, 32, 62].map((index) =>
    attributeCase(
      `td-attribute-bit-${index}`,
      `Bit ${index} of the attributes, reserved or not allowed by default, is set.`,
      SEPT_VE_DISABLE | (1n << BigInt(index)),
      refusedAttributes,
    ),
  ),
  attributeCase(
    'migratable-allowed',
    'Bit 29 is MIGRATABLE, and a field of the policy allows it.',
    SEPT_VE_DISABLE | (1n << 29n),
    accepted(),
    { allowMigratable: true },
  ),
  attributeCase(
    'lass-allowed',
    'Bit 27 is LASS, and the policy allows further bits.',
    SEPT_VE_DISABLE | (1n << 27n),
    accepted(),
    { extraTdAttributes: '0x8000000' },
  ),
  attributeCase('sept-ve-enabled', 'SEPT_VE_DISABLE is not set.', 0n, refusedAttributes),
  attributeCase(
    'sept-ve-enabled-allowed',
    'SEPT_VE_DISABLE is not set, and the policy does not ask for it.',
    0n,
    accepted(),
    { requireSeptVeDisable: false },
  ),
  attributeCase('pks', 'Supervisor protection keys are fine.', SEPT_VE_DISABLE | (1n << 30n), accepted()),
  attributeCase('perfmon', 'Performance monitoring is fine.', SEPT_VE_DISABLE | (1n << 63n), accepted()),
  attributeCase('key-locker', 'Key Locker is not.', SEPT_VE_DISABLE | (1n << 31n), refusedAttributes),
  attributeCase(
    'key-locker-allowed',
    'Key Locker is, when the policy says so.',
    SEPT_VE_DISABLE | (1n << 31n),
    accepted(),
    { allowKl: true },
  ),
];

const otherCases: readonly TamperCase[] = [
  xfamCase('xfam-zero', 'XFAM 0 is impossible in a TD.', 0n, refusedXfam),
  xfamCase('xfam-without-sse', 'XFAM without SSE is impossible.', DEVELOPMENT_XFAM & ~2n, refusedXfam),
  xfamCase(
    'xfam-reserved-bit',
    'XFAM has a bit that no TD may have.',
    DEVELOPMENT_XFAM | (1n << 3n),
    refusedXfam,
  ),
  tamperCase(
    'service-td-bound',
    'F3',
    'A service TD is bound to this TD and may act on it.',
    (bench) => bench.asked({ version: 5, body: { mrServiceTd: new Uint8Array(48).fill(1) } }),
    refused('SERVICE_TD_REFUSED', 'UpToDate'),
  ),
  tamperCase(
    'mrtd-not-listed',
    'F4',
    'The policy lists another MRTD.',
    (bench) => bench.evidence(),
    refused('MEASUREMENT_REFUSED', 'UpToDate'),
    { mrTd: ['11'.repeat(48)] },
  ),
  tamperCase('mrtd-listed', 'F4', 'The policy lists this MRTD.', (bench) => bench.evidence(), accepted(), {
    mrTd: ['11'.repeat(48), toHex(developmentMeasurements.mrTd)],
  }),
  tamperCase(
    'mrseam-not-listed',
    'F4',
    'The policy lists another TDX module.',
    (bench) => bench.evidence(),
    refused('MEASUREMENT_REFUSED', 'UpToDate'),
    { mrSeam: ['11'.repeat(48)] },
  ),
  tamperCase(
    'advisory-denied',
    'F5',
    'OutOfDate is accepted, one of its advisories is not.',
    (bench) => bench.asked({ body: { teeTcbSvn: Uint8Array.of(5, 1, 7, ...new Array<number>(13).fill(0)) } }),
    refused('ADVISORY_REFUSED', 'OutOfDate'),
    { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'], deniedAdvisoryIds: ['INTEL-SA-01103'] },
  ),
];

/** Table 1f: what the policy refuses although Intel's verification passes. */
export const policyCases: readonly TamperCase[] = [...attributeCases, ...otherCases];
