import { z } from 'zod';
import { ProblemError } from '../errors/latchkey-error.ts';
import { parsePolicy } from '../tdx/policy-file.ts';
import type { TdPolicy } from '../tdx/td-policy.ts';
import { custodySchema } from './custody-set.ts';
import { authoritySchema } from './fleet-authority.ts';
import {
  checkedHex,
  DAY_MS,
  hexBytes,
  hexSet,
  MINUTE_MS,
  milliseconds,
  SECOND_MS,
} from './section-values.ts';
import { tdPolicyToJson } from './tcb-policy.ts';

/** Layout of the section; a change of fields or defaults is a new version, because it changes every hash. */
export const TRUST_SECTION_VERSION = 1;

const checkpointSchema = z.strictObject({
  blockNumber: z.int().nonnegative(),
  blockHash: hexBytes(32),
  authoritySetId: z.int().nonnegative(),
  authorities: hexSet(32, 10_000).pipe(z.array(z.string()).min(1)),
});

const measurementSchema = z.discriminatedUnion('policy', [
  z.strictObject({ policy: z.literal('own') }),
  z.strictObject({ policy: z.literal('chain') }),
  z.strictObject({
    policy: z.literal('pinned'),
    accepted: hexSet(32, 256).pipe(z.array(z.string()).min(1)),
  }),
]);

const freshnessSchema = z.strictObject({
  attestationMaxAgeMs: milliseconds(SECOND_MS, 7 * DAY_MS).default(15 * MINUTE_MS),
  chainHeadMaxAgeMs: milliseconds(SECOND_MS, 7 * DAY_MS).default(10 * MINUTE_MS),
  clockToleranceMs: milliseconds(SECOND_MS, DAY_MS).default(2 * MINUTE_MS),
  tcbGraceMs: milliseconds(0, 365 * DAY_MS).default(30 * DAY_MS),
  /** How long collateral that has run out may still be used when none fresher can be had. */
  collateralGraceMs: milliseconds(0, 30 * DAY_MS).default(0),
  /** How far the time of the key servers may be ahead of the chain's and the own. */
  maxTimeJumpMs: milliseconds(MINUTE_MS, 365 * DAY_MS).default(DAY_MS),
});

const fencingSchema = z.strictObject({
  /** How long a node may write without word from its key servers. */
  leaseMs: milliseconds(10 * SECOND_MS, 60 * MINUTE_MS),
});

/** The constants of the ring (docs/ring.md): measured, because members with different ones would miss each other. */
const ringSchema = z.strictObject({
  /** The ring begins at this block of the chain, without members. */
  firstBlock: z.int().nonnegative(),
  /** Blocks between two boundaries, at which members change. */
  everyBlocks: z.int().min(1).max(14_400).default(10),
  /** Copies of a record. */
  replicas: z.int().min(1).max(16).default(4),
});

/**
 * Whom the relay of users' secrets believes. Measured: an authority that the host adds could pose as every upstream, and
 * would be given the secrets.
 */
const relaySchema = z.strictObject({
  /** Certificates in PEM, one in each text, in addition to those of Node.js. */
  authorities: z
    .array(
      z
        .string()
        .regex(
          /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n?$/,
          'must be one certificate in PEM',
        ),
    )
    .max(16),
});

/** What the audit log (docs/audit.md) may hold up. Measured: the host must not be able to switch it off. */
const auditSchema = z.strictObject({
  /** No key leaves without a durable entry. Leave the section out for the default, so that the hash stays the same. */
  required: z.literal(true),
});

const platformsSchema = z.strictObject({
  /** Whom a server gives an existing key back to. */
  recover: z
    .enum(['bound', 'endorsed', 'any'], {
      error: 'must be bound, endorsed or any; `latchkey config init` explains what fits which machines',
    })
    .default('bound'),
  /** Which servers a node gives slots to and recovers from; {@link parseTrustSection} fills in the default. */
  servers: z.enum(['registered', 'endorsed']).optional(),
  /** Whom a server makes new keys for. */
  clients: z.enum(['any', 'endorsed']).default('any'),
});

/** The schema of the trust section in the configuration; unknown keys are refused, defaults are filled in. */
export const trustSectionSchema = z
  .strictObject({
    version: z.literal(TRUST_SECTION_VERSION).default(TRUST_SECTION_VERSION),
    chain: z.strictObject({ genesisHash: hexBytes(32), checkpoint: checkpointSchema.optional() }),
    measurement: measurementSchema.default({ policy: 'own' }),
    // A TD policy (docs of `latchkey quote verify --policy`); the quote verifier checks it and fills in its defaults.
    tcb: z.record(z.string(), z.json()).default({}),
    minimumThreshold: z.int().min(1).max(16).default(2),
    bootstrap: z.boolean().default(false),
    freshness: freshnessSchema.prefault({}),
    // Without a default: a section without it keeps the hash that it had before there were leases.
    fencing: fencingSchema.optional(),
    acceptedTrustHashes: hexSet(48, 64).default([]),
    /** Absent: no fleet manifest is accepted, and the section has the hash that it had before there were any. */
    authority: authoritySchema.optional(),
    /** Who can open every store together after a total blackout; absent: no custody, and the hash is as without the key. */
    custody: custodySchema.optional(),
    /** Absent: this node takes part in no ring, and the hash is as without the key. */
    ring: ringSchema.optional(),
    /** Absent: the authorities of Node.js only, and the hash is as without the key. */
    relay: relaySchema.optional(),
    /** Absent: a key waits two seconds for its entry and then leaves, and the hash is as without the key. */
    audit: auditSchema.optional(),
    // Without this section any platform recovers, as in all releases before it, and the hash stays what it was.
    platforms: platformsSchema.optional(),
  })
  .refine((section) => section.minimumThreshold > 1 || section.bootstrap, {
    path: ['minimumThreshold'],
    message:
      'must be at least 2: with 1, a single server and the host can choose the store key (1 needs bootstrap: true)',
  });

/**
 * The part of the configuration on which security depends, with all defaults filled in: the canonical JSON of exactly
 * this object is hashed into MRCONFIGID. Hex is lower case with `0x`; durations are milliseconds.
 */
export type TrustSection = z.output<typeof trustSectionSchema>;

/** Which images are accepted: the own one only, or also the chain's list, or also a pinned list. */
export type MeasurementPolicy =
  | { readonly kind: 'own' }
  | { readonly kind: 'chain' }
  /** 32-byte measurement ids. */
  | { readonly kind: 'pinned'; readonly accepted: readonly Uint8Array[] };

/**
 * Reads the trust section of a configuration and fills in its defaults, those of the TD policy included. Reading what
 * it returned gives the same again.
 * @throws ProblemError TRUST_SECTION_INVALID naming the first wrong place.
 */
export function parseTrustSection(input: unknown): TrustSection {
  const parsed = trustSectionSchema.safeParse(input);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalidAt(issue?.path.map(String) ?? [], issue?.message ?? 'invalid', parsed.error);
  }
  const section = { ...parsed.data, tcb: { ...tdPolicyToJson(readTdPolicy(parsed.data.tcb)) } };
  if (section.platforms === undefined) return section;
  const platforms = platformPolicyOf(section);
  requireAuthority(platforms, hasAuthority(section));
  return { ...section, platforms };
}

/** The rules about platforms of a section, with the defaults filled in. */
export interface PlatformPolicy {
  readonly recover: 'bound' | 'endorsed' | 'any';
  readonly servers: 'registered' | 'endorsed';
  readonly clients: 'any' | 'endorsed';
}

/** The rules about platforms of a section; without `platforms` those of the releases before there were any. */
export function platformPolicyOf(section: TrustSection): PlatformPolicy {
  if (section.platforms === undefined) return { recover: 'any', servers: 'registered', clients: 'any' };
  const { recover, servers, clients } = section.platforms;
  return { recover, servers: servers ?? (hasAuthority(section) ? 'endorsed' : 'registered'), clients };
}

/** Whether a section says who signs lists of platforms. */
export const hasAuthority = ({ authority }: Pick<TrustSection, 'authority'>): boolean =>
  authority !== undefined;

/** Without an authority no platform can be endorsed, and no machine would get a key. */
function requireAuthority(platforms: PlatformPolicy, isThere: boolean): void {
  if (isThere) return;
  const [field] = (['recover', 'servers', 'clients'] as const).filter(
    (name) => platforms[name] === 'endorsed',
  );
  if (field === undefined) return;
  throw invalidAt(
    ['platforms', field],
    '"endorsed" needs trust.authority: without it nobody can sign a list of platforms',
    undefined,
  );
}

/** The TD policy of a parsed section. */
export const tdPolicyOf = ({ tcb }: TrustSection): TdPolicy => readTdPolicy(tcb);

function readTdPolicy(tcb: TrustSection['tcb']): TdPolicy {
  try {
    return parsePolicy(tcb);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    throw invalidAt(['tcb', ...(error.field === undefined ? [] : [error.field])], error.message, error);
  }
}

function invalidAt(path: readonly string[], message: string, cause: unknown): ProblemError {
  const place = ['trust', ...path].join('.');
  return new ProblemError('TRUST_SECTION_INVALID', `${place}: ${message}`, { field: place, cause });
}

/** The measurement policy of a section, with its pinned ids as bytes. */
export function measurementPolicyOf({ measurement }: TrustSection): MeasurementPolicy {
  if (measurement.policy !== 'pinned') return { kind: measurement.policy };
  return { kind: 'pinned', accepted: measurement.accepted.map(checkedHex) };
}
