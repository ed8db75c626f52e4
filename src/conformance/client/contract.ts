import { z } from 'zod';
import type { Intent } from '../../protocol/report-data.ts';
import { Violation } from '../check.ts';

/** What a client is told to do, in this order; each step at every server for which the steps before succeeded. */
export type Step =
  | 'attest'
  | 'plain'
  | 'create'
  | 'link'
  | 'recover'
  | 'reserve'
  | 'claim'
  | 'status'
  | 'update'
  | 'forget';

/** Steps that every client must know; one that does not know another step says so, and its rules are skipped. */
export const requiredSteps: readonly Step[] = ['create', 'link', 'recover', 'forget'];

/** The route that a step asks last. */
export const routeOf: Readonly<Record<Step, string>> = {
  attest: '/attestation',
  plain: '/request-encryption-key',
  create: '/request-encryption-key',
  link: '/key-status',
  recover: '/request-encryption-key',
  reserve: '/reserve',
  claim: '/claim',
  status: '/lineage-status',
  update: '/lineage-update',
  forget: '/forget',
};

/** The intent of the requests of a step, where it asks for a key. */
export const intentOf: Readonly<Partial<Record<Step, Intent>>> = {
  plain: 'get-or-create',
  create: 'create',
  recover: 'recover',
};

/** Name of the variable that carries the {@link Scenario} as JSON. */
export const SCENARIO_VARIABLE = 'LATCHKEY_CONFORMANCE';

/** One run of a client. Bytes are `0x` hex. */
export interface Scenario {
  readonly version: 1;
  /** The client's account. */
  readonly account: string;
  /** 32 bytes. */
  readonly lineageSecret: string;
  /** As the chain says. */
  readonly servers: readonly {
    readonly accountId: string;
    readonly x25519PublicKey: string;
    /** Base address, without a slash at the end. */
    readonly endpoint: string;
  }[];
  /** Base address of a mock-tdx: makes quotes (`POST /quote`) and serves their collateral. */
  readonly quoteProvider: string;
  /** The root certificate of those quotes, PEM. */
  readonly rootCertificate: string;
  /** The time by which collateral is judged. */
  readonly timeMs: number;
  /** The chain's newest finalized block; an attestation may cite one that is up to `maxBlocksBehind` older. */
  readonly finalized: { readonly number: number; readonly hash: string };
  readonly maxBlocksBehind: number;
  /** How long a client may wait for one answer. */
  readonly timeoutMs: number;
  readonly steps: readonly Step[];
}

const line = z.strictObject({
  step: z.string(),
  server: z.string().optional(),
  ok: z.boolean().optional(),
  unsupported: z.literal(true).optional(),
  keyId: z.string().optional(),
  reason: z.string().optional(),
  code: z.string().optional(),
});

/** What a client printed about one step: at one server, or that it does not know the step. */
export type Outcome = z.output<typeof line>;

/**
 * Reads the standard output of a client: one JSON object a line.
 * @throws Violation naming the first line that is something else.
 */
export function readOutcomes(stdout: string): readonly Outcome[] {
  const lines = stdout.split('\n').filter((text) => text.trim() !== '');
  return lines.map((text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Violation(`the client printed a line that is no JSON: ${text.slice(0, 100)}`);
    }
    const parsed = line.safeParse(value);
    if (!parsed.success) {
      throw new Violation(
        `the client printed a line that the contract does not allow: ${text.slice(0, 100)}`,
      );
    }
    return parsed.data;
  });
}

/** What a client left behind. */
export interface ClientOutput {
  /** `undefined` when it was ended, or by a signal. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether it was ended because it took too long. */
  readonly isLate: boolean;
}

/** Runs a client once. */
export type RunClient = (scenario: Scenario) => Promise<ClientOutput>;
