import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tdxCodes } from '../../../src/errors/codes/tdx.ts';
import { defaultPolicy } from '../../../src/tdx/policy.ts';
import { parseCollateralDocuments, verifyQuote } from '../../../src/tdx/verify-quote.ts';
import { genuineCollateral, quoteBytes, upToDatePairs } from '../../support/tdx-vectors.ts';
import { haveVectors } from '../../support/vectors.ts';

const page = readFileSync(new URL('../../../docs/tdx-verification.md', import.meta.url), 'utf8');

describe('docs/tdx-verification.md', () => {
  it('lists exactly the existing codes', () => {
    const listed = [...page.slice(page.indexOf('## Codes')).matchAll(/^\| `([A-Z_]+)` \|/gm)].map(
      (match) => match[1],
    );
    expect(listed).toEqual(Object.keys(tdxCodes));
  });

  it('names every field of a policy', () => {
    for (const field of Object.keys(defaultPolicy)) {
      if (field !== 'measurements') expect(page, field).toContain(`\`${field}\``);
    }
  });

  it.skipIf(!haveVectors)('has an example with calls that behave as described', () => {
    const example = page.slice(page.indexOf('```ts'), page.indexOf('```\n\nIt throws'));
    for (const name of ['parseCollateralDocuments', 'verifyQuote', "from 'latchkey/tdx'"])
      expect(example).toContain(name);
    const [pair] = upToDatePairs;
    const collateral = parseCollateralDocuments(
      JSON.parse(JSON.stringify(genuineCollateral(pair.collateral))),
    );
    const verified = verifyQuote(quoteBytes(pair.quote), { collateral, nowMs: pair.nowMs });
    expect([verified.tcbStatus, verified.advisoryIds, verified.quote.body.mrTd.length]).toEqual([
      'UpToDate',
      [],
      48,
    ]);
  });
});
