import { tryFromHex } from '../../src/bytes/hex.ts';
import { Memo } from '../../src/bytes/memo.ts';
import { type CollateralJson, type CollateralParts, signDocument } from '../collateral/collateral-parts.ts';
import { DEVELOPMENT_TCB_EVALUATION_DATA_NUMBER, type DevelopmentPki } from '../development-pki.ts';
import { pemChain } from '../pki/pem.ts';
import type { PckCaKind } from '../pki/platform.ts';

/** Answers of PCS and PCCS other than 200. */
export interface ServiceRefusal {
  readonly status: 400 | 404 | 410;
  readonly message: string;
}

/** TCB evaluation data numbers of `update=standard` and `update=early`. */
const evaluationNumbers = {
  standard: DEVELOPMENT_TCB_EVALUATION_DATA_NUMBER,
  early: DEVELOPMENT_TCB_EVALUATION_DATA_NUMBER + 1,
} as const;
const DAY_MS = 86_400_000;
const MAX_CACHED_SETS = 8;

/** The collateral of the simulated PCS; issued again every day, so that it does not expire in a long run. */
export class CertificationService {
  readonly #pki: DevelopmentPki;
  readonly #nowMs: () => number;
  readonly #sets = new Memo<CollateralJson>(MAX_CACHED_SETS);

  constructor(pki: DevelopmentPki, nowMs: () => number) {
    this.#pki = pki;
    this.#nowMs = nowMs;
  }

  get pki(): DevelopmentPki {
    return this.#pki;
  }

  /** The set with this evaluation number, as of today. */
  collateral(ca: PckCaKind, tcbEvaluationDataNumber: number = evaluationNumbers.standard): CollateralJson {
    const nowMs = this.#nowMs();
    const key = `${ca}/${tcbEvaluationDataNumber}/${Math.floor(nowMs / DAY_MS)}`;
    return this.#sets.get(key, () => this.#pki.collateral({ nowMs, ca, tcbEvaluationDataNumber }));
  }

  /** Which evaluation number a query means; the two parameters exclude one another, as at Intel's service. */
  evaluationNumber(
    update: string | undefined,
    number: string | undefined,
  ): { readonly number: number } | { readonly refusal: ServiceRefusal } {
    if (update !== undefined && number !== undefined) {
      return refusal(400, 'update and tcbEvaluationDataNumber exclude one another');
    }
    if (number === undefined) {
      if (update === undefined || update === 'standard') return { number: evaluationNumbers.standard };
      return update === 'early'
        ? { number: evaluationNumbers.early }
        : refusal(400, 'update must be early or standard');
    }
    if (!/^\d{1,9}$/.test(number)) return refusal(400, 'tcbEvaluationDataNumber must be a number');
    const wanted = Number(number);
    if (wanted < evaluationNumbers.standard) return refusal(410, 'this evaluation data number is gone');
    return wanted > evaluationNumbers.early
      ? refusal(404, 'no such evaluation data number')
      : { number: wanted };
  }

  /** `undefined` when this FMSPC is served. */
  refuseFmspc(fmspc: string | undefined): ServiceRefusal | undefined {
    if (fmspc === undefined || !/^[0-9a-fA-F]{12}$/.test(fmspc)) {
      return { status: 400, message: 'fmspc must be 12 hex digits' };
    }
    const known = Buffer.from(this.#pki.fmspc).equals(tryFromHex(fmspc) ?? new Uint8Array());
    return known ? undefined : { status: 404, message: 'no TCB information for this fmspc' };
  }

  /** The signed list of evaluation numbers, with its issuer chain. */
  evaluationNumberList(id: 'SGX' | 'TDX'): { readonly body: string; readonly issuerChain: string } {
    const { tcbInfo }: CollateralParts = this.#pki.collateralParts({ nowMs: this.#nowMs() });
    const recovery = { tcbRecoveryEventDate: '2025-05-13T00:00:00Z', tcbDate: '2025-05-14T00:00:00Z' };
    const content = {
      id,
      version: 1,
      issueDate: tcbInfo.content.issueDate,
      nextUpdate: tcbInfo.content.nextUpdate,
      tcbEvalNumbers: [evaluationNumbers.early, evaluationNumbers.standard].map(
        (tcbEvaluationDataNumber) => ({
          tcbEvaluationDataNumber,
          ...recovery,
        }),
      ),
    };
    const { text, signature } = signDocument({ ...tcbInfo, content });
    return {
      body: `{"tcbEvaluationDataNumbers":${text},"signature":"${signature}"}`,
      issuerChain: pemChain(...tcbInfo.issuerChain),
    };
  }
}

const refusal = (status: ServiceRefusal['status'], message: string) => ({ refusal: { status, message } });
