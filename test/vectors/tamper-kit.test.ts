import { beforeAll, describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { type TamperLine, tamperKit, tamperLines } from '../../mock-tdx/tamper-kit.ts';
import { QuoteStream } from '../../src/cli/quote/stream.ts';
import { tdxCodes } from '../../src/errors/codes/tdx.ts';
import { errorCodes } from '../../src/errors/codes.ts';
import { defaultPolicy } from '../../src/tdx/policy.ts';
import { QuoteVerifier } from '../../src/tdx/verify-quote.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
/** Every row of the tables of checks, and every rule of the TCB evaluation, that one quote and one set can show. */
const rows = [
  ...Array.from({ length: 12 }, (_, index) => `P${index + 1}`),
  ...Array.from({ length: 16 }, (_, index) => `C${index + 1}`),
  ...Array.from({ length: 9 }, (_, index) => `K${index + 1}`),
  ...Array.from({ length: 8 }, (_, index) => `Q${index + 1}`),
  ...['E1', 'E2', 'E4', 'E5', 'E6', 'E7', 'E8'],
  ...Array.from({ length: 5 }, (_, index) => `F${index + 1}`),
];

let lines: Map<string, TamperLine>;
let stream: QuoteStream;
beforeAll(() => {
  const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(4) });
  lines = new Map([...tamperLines(pki, NOW_MS)].map((line) => [line.id, line]));
  stream = new QuoteStream({
    verifier: new QuoteVerifier(),
    policy: defaultPolicy,
    collateral: undefined,
    nowMs: () => NOW_MS,
    acceptsRootFromInput: true,
  });
});

const answer = (line: TamperLine | undefined) =>
  stream.answer({ tooLong: false, bytes: new TextEncoder().encode(JSON.stringify(line)) });

describe('the tamper kit', () => {
  it('has a case for every row, and no name twice', () => {
    const covered = new Set(tamperKit.map(({ row }) => row));
    expect(rows.filter((row) => !covered.has(row))).toEqual([]);
    expect(new Set(tamperKit.map(({ name }) => name)).size).toBe(tamperKit.length);
  });

  it('expects only existing codes', () => {
    const codes = tamperKit.flatMap(({ expected }) => (expected.ok ? [] : [expected.code]));
    expect(codes.filter((code) => !Object.hasOwn(errorCodes, code))).toEqual([]);
  });

  it('covers every code by which a quote can be refused', () => {
    // The rest are about what the person at the command line got wrong.
    const ofTheUser = [
      'TRUST_ROOT_INVALID',
      'POLICY_INVALID',
      'LINE_INVALID',
      'LINE_TOO_LONG',
      'INPUT_UNREADABLE',
    ];
    // About event logs and documents that come with the quote.
    const ofOthers = ['EVENT_LOG_MALFORMED', 'EVENT_LOG_MISMATCH', 'MR_CONFIG_ID_MISMATCH'];
    const shown = new Set(tamperKit.map(({ expected }) => (expected.ok ? 'ok' : expected.code)));
    for (const code of [...ofTheUser, ...ofOthers]) shown.add(code);
    expect(Object.keys(tdxCodes).filter((code) => !shown.has(code))).toEqual([]);
  });

  it('has no two cases with the same evidence and policy', () => {
    const contents = [...lines.values()].map(({ quote, collateral, policy }) =>
      JSON.stringify([quote, collateral, policy]),
    );
    expect(new Set(contents).size).toBe(contents.length);
  });

  it.each(tamperKit.map(({ row, name, about }) => [row, name, about] as const))('%s %s: %s', (_, name) => {
    const line = lines.get(name);
    expect(answer(line)).toMatchObject({ id: name, ...line?.expected });
  });
});
