import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { PolicyRule } from './td-policy.ts';

/** The allow lists of measured fields. */
export const measurementRules: readonly PolicyRule[] = [
  {
    title: 'measured fields are in their allow lists',
    check({ quote }, { measurements }) {
      for (const [field, accepted] of measurements) {
        const observed = quote.body[field];
        if (accepted.some((value) => equalBytes(value, observed))) continue;
        const expected = accepted.map(toHex).join(' or ') || 'none at all';
        const message = `measurement ${field} must be ${expected}, got ${toHex(observed)}`;
        throw new RefusalError('MEASUREMENT_REFUSED', message, {
          field,
          expected,
          observed: toHex(observed),
        });
      }
    },
  },
];
