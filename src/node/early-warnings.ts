import type { OpenNode } from '../boot/node/open-node.ts';
import type { PeerRecord } from '../boot/peer/held-keys.ts';
import type { PeerClient } from '../boot/peer/peer-client.ts';
import { ReportData } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ChainView } from '../chain/chain-view.ts';
import type { CollateralSource } from '../collateral/collateral-source.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import { describeFrom, describeWarning, type EarlyWarning, foreseeRefusal } from '../tdx/early-warning.ts';
import type { TdPolicy } from '../tdx/policy.ts';
import { parseQuote } from '../tdx/quote.ts';
import type { QuoteVerifier } from '../tdx/verify-quote.ts';
import type { Clock } from '../time/clock.ts';

/** Intel publishes a TCB evaluation every few months; the standard one follows a year later. */
const LOOK_EVERY_MS = 6 * 3_600_000;
/** Between two checks when the last one was incomplete. */
const RETRY_MS = 15 * 60_000;

/** The parts that early warnings use. */
export interface EarlyWarningParts {
  /** Sets of `update=early`. */
  readonly early: CollateralSource;
  /** Sets of today. */
  readonly collateral: CollateralSource;
  readonly verifier: QuoteVerifier;
  readonly policy: TdPolicy;
  readonly quotes: QuoteSource;
  readonly client: Pick<PeerClient, 'attestation'>;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'tcbWarnings' | 'tcbRefusedFrom'>;
}

/** The result for one machine. */
interface Finding {
  /** SS58 of a server; `undefined` for this machine. */
  readonly server: string | undefined;
  readonly warning: EarlyWarning | undefined;
  /** Why the machine could not be judged. */
  readonly failure: string | undefined;
}

/**
 * Judges this machine's quote and those of the store's servers by the collateral of `update=early` as well, so that an
 * operator learns of a TCB recovery a year before it refuses machines.
 */
export class EarlyWarnings {
  readonly #parts: EarlyWarningParts;
  #own: Finding | undefined;
  #servers: readonly Finding[] = [];
  #lookedAtMs: number | undefined;
  /** The summary that was logged last, so that it is logged once. */
  #said = '';

  constructor(parts: EarlyWarningParts) {
    this.#parts = parts;
  }

  /** Checks at the start and every few hours until the signal aborts. */
  async run(servers: () => Promise<readonly PeerRecord[]>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isComplete = await this.look(await servers().catch(() => []), signal);
      await this.#parts.clock.sleep(isComplete ? LOOK_EVERY_MS : RETRY_MS, signal);
    }
  }

  /** Judges this machine and these servers. @returns whether each of them could be judged. */
  async look(servers: readonly PeerRecord[], signal: AbortSignal): Promise<boolean> {
    const { quotes, client, random, clock } = this.#parts;
    const [own, ...others] = await Promise.all([
      this.#find(undefined, () => quotes.quote(ReportData.of(random(ReportData.byteLength)))),
      ...servers.map((record) =>
        this.#find(encodeSs58(record.account), async () => (await client.attestation(record, signal)).quote),
      ),
    ]);
    if (signal.aborted) return false;
    this.#own = own;
    this.#servers = others;
    this.#lookedAtMs = clock.nowMs();
    this.#publish();
    return [own, ...others].every(({ failure }) => failure === undefined);
  }

  /** Part of the node's status; `undefined` before the first check. */
  status(): Readonly<Record<string, unknown>> | undefined {
    if (this.#own === undefined || this.#lookedAtMs === undefined) return undefined;
    return {
      checkedAt: new Date(this.#lookedAtMs).toISOString(),
      summary: this.summary(),
      own: findingToJson(this.#own),
      servers: this.#servers.map(findingToJson),
    };
  }

  /** In words, such as "2 of your 5 servers will be refused from about 2027-08-12"; empty when there is no warning. */
  summary(): string {
    const own = this.#own?.warning;
    const refused = this.#servers.flatMap(({ warning }) => (warning === undefined ? [] : [warning]));
    const sentences = [
      ...(own === undefined ? [] : [`this machine will be ${describeWarning(own)}`]),
      ...(refused.length === 0
        ? []
        : [
            `${refused.length} of your ${this.#servers.length} servers will be refused ` +
              describeFrom(earliestOf(refused)),
          ]),
    ];
    return sentences.join('; ');
  }

  async #find(server: string | undefined, quoteOf: () => Promise<Uint8Array>): Promise<Finding> {
    try {
      return { server, warning: await this.#judge(await quoteOf()), failure: undefined };
    } catch (error) {
      return { server, warning: undefined, failure: error instanceof Error ? error.message : String(error) };
    }
  }

  async #judge(bytes: Uint8Array): Promise<EarlyWarning | undefined> {
    const { early, collateral, verifier, policy, clock } = this.#parts;
    const quote = parseQuote(bytes, { trailing: 'allow-zero-padding' });
    const nowMs = clock.nowMs();
    // Services are asked about a platform only after the quote's signatures were verified.
    const { platform } = verifier.verifyChainOnly(quote, { nowMs });
    const [later, today] = await Promise.all([
      early.collateralFor(platform),
      collateral.collateralFor(platform),
    ]);
    return foreseeRefusal({
      verifier,
      quote,
      early: later.documents,
      standard: today.documents,
      policy,
      nowMs: clock.nowMs(),
      collateralGraceMs: Math.max(early.graceMs, collateral.graceMs),
    });
  }

  /** Sets the metrics; logs an event when the summary has changed. */
  #publish(): void {
    const { log, metrics } = this.#parts;
    const own = this.#own?.warning === undefined ? [] : [this.#own.warning];
    const servers = this.#servers.flatMap(({ warning }) => (warning === undefined ? [] : [warning]));
    metrics.tcbRefusedFrom.reset();
    for (const [machines, warnings] of [['own', own] as const, ['servers', servers] as const]) {
      metrics.tcbWarnings.set({ machines }, warnings.length);
      const fromMs = earliestOf(warnings);
      if (fromMs !== undefined) metrics.tcbRefusedFrom.set({ machines }, Math.floor(fromMs / 1000));
    }
    const summary = this.summary();
    if (summary === this.#said) return;
    this.#said = summary;
    if (summary === '') log('info', 'tcb.warning-over', {});
    else log('warn', 'tcb.early-warning', { ...this.status() });
  }
}

/** The earliest known day. */
function earliestOf(warnings: readonly EarlyWarning[]): number | undefined {
  const known = warnings.flatMap(({ refusedFromMs }) => (refusedFromMs === undefined ? [] : [refusedFromMs]));
  return known.length === 0 ? undefined : Math.min(...known);
}

const isoTime = (timeMs: number | undefined): string | undefined =>
  timeMs === undefined ? undefined : new Date(timeMs).toISOString();

function findingToJson({ server, warning, failure }: Finding): Readonly<Record<string, unknown>> {
  const named = server === undefined ? {} : { server };
  if (failure !== undefined) return { ...named, unknown: failure };
  if (warning === undefined) return { ...named, refused: false };
  return {
    ...named,
    refused: true,
    refusedFrom: isoTime(warning.refusedFromMs),
    code: warning.code,
    detail: warning.message,
    tcbStatus: warning.tcbStatus,
    tcbEvaluationDataNumbers: warning.evaluationNumbers,
    shortfalls: warning.shortfalls.map(({ part, required, observed, shortBy, level }) => ({
      part,
      required,
      observed,
      shortBy,
      level: { status: level.status, tcbDate: isoTime(level.tcbDateMs) },
    })),
  };
}

/** The registered servers that hold a slot of the open store, as the chain knows them now. */
export async function serversOfStore(
  node: Pick<OpenNode, 'book'> | undefined,
  chain: Pick<ChainView, 'snapshot'>,
): Promise<readonly PeerRecord[]> {
  const holders = new Set((node?.book.newest?.slots ?? []).map(({ server }) => toHex(server)));
  const { servers } = await chain.snapshot();
  return servers.filter(({ account }) => holders.has(toHex(account)));
}
