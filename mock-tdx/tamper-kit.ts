import { toBase64 } from '../src/bytes/base64.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import type { DevelopmentPki } from './development-pki.ts';
import { certificateCases } from './tamper-kit/certificate-cases.ts';
import { documentCases } from './tamper-kit/document-cases.ts';
import { FleetBench } from './tamper-kit/fleet-bench.ts';
import { fleetCases } from './tamper-kit/fleet-cases.ts';
import { parsingCases } from './tamper-kit/parsing-cases.ts';
import { policyCases } from './tamper-kit/policy-cases.ts';
import { relaunchCases } from './tamper-kit/relaunch-cases.ts';
import { revocationCases } from './tamper-kit/revocation-cases.ts';
import { signatureCases } from './tamper-kit/signature-cases.ts';
import { TamperBench } from './tamper-kit/tamper-bench.ts';
import { accepted, type Expectation, type TamperCase, tamperCase } from './tamper-kit/tamper-case.ts';
import { tcbCases } from './tamper-kit/tcb-cases.ts';

/** Good evidence of each kind, so that a verifier that refuses everything does not pass. */
const goodCases: readonly TamperCase[] = [
  tamperCase('good-v4', 'A', 'A good quote, version 4.', (bench) => bench.evidence(), accepted()),
  tamperCase('good-v5', 'A', 'Version 5, TD report 1.5.', (bench) => bench.asked({ version: 5 }), accepted()),
  tamperCase(
    'good-v5-report-1.0',
    'A',
    'Version 5, TD report 1.0.',
    (bench) => bench.asked({ version: 5, layout: '1.0' }),
    accepted(),
  ),
];

/** All cases: at least one for each check of a complete verification. */
export const tamperKit: readonly TamperCase[] = [
  ...goodCases,
  ...parsingCases,
  ...certificateCases,
  ...revocationCases,
  ...documentCases,
  ...signatureCases,
  ...tcbCases,
  ...relaunchCases,
  ...policyCases,
];

/** One line of the exported kit, in the input format of `latchkey quote verify --jsonl`, with what must come out. */
export interface TamperLine {
  readonly id: string;
  readonly row: string;
  readonly about: string;
  readonly quote: string;
  readonly collateral: object;
  readonly now: string;
  readonly root: string;
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly expected: Expectation;
}

/** Makes the evidence of all cases, one after the other. */
export function* tamperLines(pki: DevelopmentPki, nowMs: number): Generator<TamperLine> {
  // Whole seconds: the dates in certificates and CRLs have no finer unit.
  const bench = new TamperBench(pki, Math.floor(nowMs / 1000) * 1000);
  for (const { name, row, about, policy, expected, make } of tamperKit) {
    const evidence = make(bench);
    yield {
      id: name,
      row,
      about,
      quote: toBase64(evidence.quote),
      collateral: evidence.collateral,
      now: new Date(evidence.nowMs).toISOString(),
      root: evidence.root,
      ...(policy === undefined ? {} : { policy }),
      expected,
    };
  }
}

/** One line of the exported kit of fleet manifests: files that a node takes one after the other. */
export interface FleetLine {
  readonly id: string;
  readonly about: string;
  /** Hash of block 0, `0x` hex. */
  readonly genesisHash: string;
  /** `trust.authority` of the node. */
  readonly authority: FleetBench['section'];
  readonly manifests: readonly string[];
  /** Code by which the last one is refused; absent when it is taken. */
  readonly code?: string;
}

/** Makes the fleet manifests of all cases. */
export function* fleetLines(): Generator<FleetLine> {
  const bench = new FleetBench();
  for (const { name, about, make, code } of fleetCases) {
    yield {
      id: name,
      about,
      genesisHash: toPrefixedHex(bench.network),
      authority: bench.section,
      manifests: make(bench),
      ...(code === undefined ? {} : { code }),
    };
  }
}
