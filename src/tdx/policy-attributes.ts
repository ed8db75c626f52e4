import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { Quote } from './quote.ts';
import {
  describeTdAttributeBits,
  describeTdAttributes,
  readU64LittleEndian,
  tdAttributeBits,
} from './td-attributes.ts';
import type { PolicyRule } from './td-policy.ts';
import type { TdReportExtension } from './td-report.ts';

const hex64 = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`;

function refuse(code: ErrorCode, rule: string, field: string, expected: string, observed: string): never {
  throw new RefusalError(code, `${rule}: ${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
}

/**
 * Refuses a debug TD; no policy can allow one.
 * @throws RefusalError TD_DEBUG.
 */
export function requireNotDebug({ body }: Quote): void {
  const attributes = readU64LittleEndian(body.tdAttributes);
  if ((attributes & tdAttributeBits.DEBUG) === 0n) return;
  const observed = `${hex64(attributes)} (${describeTdAttributes(body.tdAttributes)})`;
  refuse('TD_DEBUG', 'debug', 'TDATTRIBUTES', 'without DEBUG (bit 0)', observed);
}

/** Rules on TDATTRIBUTES, XFAM and MRSERVICETD. */
export const refusedAttributeRules: readonly PolicyRule[] = [
  { title: 'TD is not under debug', check: ({ quote }) => requireNotDebug(quote) },
  {
    title: 'TD attributes are known and allowed',
    check({ quote }, { allowPks, allowPerfmon, allowKl, allowMigratable, extraTdAttributes }) {
      const { SEPT_VE_DISABLE, MIGRATABLE, PKS, PERFMON, KL } = tdAttributeBits;
      const allowed =
        SEPT_VE_DISABLE |
        (allowPks ? PKS : 0n) |
        (allowPerfmon ? PERFMON : 0n) |
        (allowKl ? KL : 0n) |
        // Code can put the bit into the mask, but only allowMigratable allows it.
        (extraTdAttributes & ~MIGRATABLE) |
        (allowMigratable ? MIGRATABLE : 0n);
      const attributes = readU64LittleEndian(quote.body.tdAttributes);
      const refused = attributes & ~allowed;
      if (refused === 0n) return;
      const observed = `${hex64(attributes)} (${describeTdAttributes(quote.body.tdAttributes)})`;
      const rule = (refused & MIGRATABLE) === 0n ? 'TD attributes' : 'allowMigratable';
      const expected = `without ${describeTdAttributeBits(refused)}, within ${hex64(allowed)}`;
      refuse('TD_ATTRIBUTES_REFUSED', rule, 'TDATTRIBUTES', expected, observed);
    },
  },
  {
    title: 'SEPT_VE_DISABLE is set, where required',
    check({ quote }, { requireSeptVeDisable }) {
      const attributes = readU64LittleEndian(quote.body.tdAttributes);
      if (!requireSeptVeDisable || (attributes & tdAttributeBits.SEPT_VE_DISABLE) !== 0n) return;
      const expected = 'with SEPT_VE_DISABLE (bit 28)';
      refuse('TD_ATTRIBUTES_REFUSED', 'requireSeptVeDisable', 'TDATTRIBUTES', expected, hex64(attributes));
    },
  },
  {
    title: 'XFAM has the required bits and no others than allowed',
    check({ quote }, { requiredXfam, allowedXfam }) {
      const xfam = readU64LittleEndian(quote.body.xfam);
      if ((xfam & requiredXfam) === requiredXfam && (xfam & ~allowedXfam) === 0n) return;
      const expected = `with ${hex64(requiredXfam)} and within ${hex64(allowedXfam)}`;
      refuse('XFAM_REFUSED', 'XFAM', 'XFAM', expected, hex64(xfam));
    },
  },
  {
    title: 'no service TD is bound, or an accepted one',
    check({ quote: { body } }, { mrServiceTd }) {
      const observed = body.mrServiceTd === undefined ? undefined : toHex(body.mrServiceTd);
      if (observed === undefined || mrServiceTd.some((accepted) => toHex(accepted) === observed)) return;
      const expected = mrServiceTd.map(toHex).join(' or ');
      refuse('SERVICE_TD_REFUSED', 'mrServiceTd', 'MRSERVICETD', expected, observed);
    },
  },
  {
    title: 'the policy covers every field of an extended TD report',
    check({ quote: { body } }, { extendedReport }) {
      if (body.extension === undefined) return;
      if (extendedReport === undefined) {
        const observed = 'an extended TD report 1.5';
        const expected = 'a TD report 1.0 or 1.5, or rules for every field of the extended report';
        return refuse('EXTENDED_REPORT_REFUSED', 'extendedReport', 'TD report', expected, observed);
      }
      for (const [field, value] of Object.entries(body.extension)) {
        // The report and the policy are keyed by the same names.
        const accepted = extendedReport[field as keyof TdReportExtension];
        if (accepted === 'any' || accepted.some((one) => equalBytes(one, value))) continue;
        const expected = accepted.map(toHex).join(' or ') || 'none at all';
        refuse('EXTENDED_REPORT_REFUSED', 'extendedReport', field, expected, toHex(value));
      }
    },
  },
];
