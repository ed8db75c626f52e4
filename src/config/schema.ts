import { z } from 'zod';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { parseBlock } from '../secrets/relay/address-rules.ts';
import { trustSectionSchema } from '../trust/trust-section.ts';

const port = z.int().min(0).max(65_535);
const milliseconds = (least: number, most: number) => z.int().min(least).max(most);
const rate = (burst: number, perSecond: number) =>
  z
    .strictObject({
      burst: z.int().min(1).max(1_000_000).default(burst),
      perSecond: z.number().positive().max(1_000_000).default(perSecond),
    })
    .prefault({});

const HOUR_MS = 3_600_000;

const account = z.string().superRefine((text, context) => {
  try {
    AccountId.parse(text, 'account');
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    context.addIssue(`is no account (SS58 with prefix 42, or 0x hex): ${error.observed ?? error.message}`);
  }
});

const addressBlock = z
  .string()
  .refine((text) => parseBlock(text) !== undefined, 'must be an address or a block such as 10.1.2.0/24');

const writeAuthorization = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('open') }),
  z.strictObject({ kind: z.literal('bearer'), tokenFile: z.string().min(1) }),
  z.strictObject({ kind: z.literal('sr25519'), accounts: z.array(account).min(1).max(1024) }),
]);

/** The decryption service on the node's store, docs/decryptions.md; without the section there is none. */
const decryptionsSection = z.strictObject({
  host: z.string().default('127.0.0.1'),
  port: port.default(8001),
  maxExpectedOracleDelayMs: milliseconds(0, HOUR_MS).default(7_000),
  maxWaiters: z.int().min(1).max(1_000_000).default(16_384),
  maxWaitersPerNetwork: z.int().min(1).max(1_000_000).optional(),
  maxBodyBytes: z
    .int()
    .min(1)
    .max(8 * 1024 * 1024)
    .default(1024 * 1024),
  overwrite: z.boolean().default(true),
  allowDelete: z.boolean().default(false),
  maxSignaturesPerKey: z.int().min(1).max(1000).default(64),
  writeAuthorization: writeAuthorization.default({ kind: 'open' }),
  prune: z
    .strictObject({
      everyMs: milliseconds(1_000, 24 * HOUR_MS),
      maxAgeMs: z.int().min(0).optional(),
      maxCount: z.int().min(0).optional(),
    })
    .optional(),
});

/** What this node takes from users of the ring, and where its relay goes. */
const secretsSection = z.strictObject({
  /** Who may deploy and update; anybody can make accounts, so `all` lets strangers fill the room for all. */
  users: z.union([z.literal('all'), z.array(account).max(4096)]).default([]),
  maxRecords: z.int().min(1).max(10_000_000).default(100_000),
  maxRecordsPerUser: z.int().min(1).max(1_000_000).default(64),
  maxBytesPerUser: z
    .int()
    .min(1)
    .default(1024 * 1024),
  perUser: rate(60, 5),
  relay: z
    .strictObject({
      /** From the connection to the last byte of the answer; never longer than limits.requestDeadlineMs. */
      totalMs: milliseconds(100, 120_000).default(15_000),
      idleMs: milliseconds(100, 120_000).default(10_000),
      maxAnswerBytes: z
        .int()
        .min(1)
        .max(8 * 1024 * 1024)
        .default(1024 * 1024),
      maxConcurrent: z.int().min(1).max(1024).default(32),
      maxConcurrentPerUser: z.int().min(1).max(1024).default(4),
      maxConcurrentPerOwner: z.int().min(1).max(1024).default(8),
      /** Addresses that the relay may use although they are not public, such as 10.1.2.0/24. */
      allowAddresses: z.array(addressBlock).max(256).default([]),
    })
    .prefault({}),
});

/** The configuration file, as zod reads it; `latchkey config init` prints a commented one. */
export const configSchema = z.strictObject({
  node: z.strictObject({
    dataFolder: z.string().min(1),
    /** Refuse to become a new node when the store of this account is not on the disk. */
    expectedAccount: account.optional(),
  }),
  listen: z.strictObject({ host: z.string().default('0.0.0.0'), port: port.default(3001) }).prefault({}),
  metrics: z.strictObject({ host: z.string().default('127.0.0.1'), port: port.default(9301) }).prefault({}),
  /** The status page; without this section there is none. */
  page: z
    .strictObject({
      host: z.string().default('127.0.0.1'),
      port: port.default(9302),
      /** Names under which a browser may ask, in addition to those of the own machine; without a port. */
      hostNames: z
        .array(
          z
            .string()
            .regex(/^([a-zA-Z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])$/, 'must be a host name or an address'),
        )
        .max(16)
        .default([]),
    })
    .optional(),
  agent: z
    .strictObject({
      socketPath: z.string().optional(),
      /** The routes of `seal "transit"` of Vault and OpenBao, docs/transit.md. */
      transit: z.boolean().default(false),
    })
    .prefault({}),
  chain: z.strictObject({
    endpoints: z
      .array(z.string().regex(/^wss?:\/\//, 'must start with ws:// or wss://'))
      .min(1)
      .max(16),
    /** How many endpoints must give the same answer. */
    agreement: z.int().min(1).max(16).default(1),
    /** Only a development chain has the RPC by which a node registers itself. */
    developmentRegistration: z.strictObject({ stash: account, endpoint: z.string().min(1) }).optional(),
  }),
  quote: z.discriminatedUnion('source', [
    z.strictObject({ source: z.literal('configfs'), path: z.string().optional() }),
    z.strictObject({
      source: z.literal('development'),
      url: z.url(),
      platform: z.int().min(0).max(65_535).default(0),
    }),
  ]),
  collateral: z.strictObject({
    endpoints: z
      .array(z.url({ protocol: /^https?$/ }))
      .min(1)
      .max(16),
    cacheFolder: z.string().optional(),
  }),
  trust: trustSectionSchema,
  /** Where fleet manifests come from, in addition to the registered servers; signatures decide, not sources. */
  fleet: z
    .strictObject({
      sources: z
        .array(z.url({ protocol: /^https?$/ }))
        .max(16)
        .default([]),
      /** Files of manifests, read as often as the others are asked. */
      files: z.array(z.string().min(1)).max(16).default([]),
      intervalMs: milliseconds(1_000, 24 * HOUR_MS).default(60_000),
    })
    .prefault({}),
  audit: z
    .strictObject({
      /** Older entries are removed, a tenth at a time. About 400 bytes each. */
      maxEntries: z.int().min(1_000).max(10_000_000).default(200_000),
    })
    .prefault({}),
  limits: z
    .strictObject({
      perAddress: rate(200, 50),
      perPlatform: rate(60, 10),
      maxKeys: z.int().min(1).max(10_000_000).default(400_000),
      maxKeysPerPlatform: z.int().min(1).max(1_000_000).default(4096),
      maxKeysPerPlatformAndAccount: z.int().min(2).max(1_000_000).default(32),
      maxPlainKeysPerPlatform: z.int().min(1).max(1_000_000).default(64),
      /** After its last use, when the account has had no record on the chain for as long. */
      unregisteredKeyTtlMs: milliseconds(HOUR_MS, 3650 * 24 * HOUR_MS).default(30 * 24 * HOUR_MS),
      // What notices a copy of a disk has a floor: these settings are not measured.
      maxLineages: z.int().min(200_000).max(10_000_000).default(200_000),
      maxLineagesPerPlatform: z.int().min(4096).max(1_000_000).default(4096),
      /** After the last key and the last request of a store. */
      lineageTtlMs: milliseconds(30 * 24 * HOUR_MS, 3650 * 24 * HOUR_MS).default(90 * 24 * HOUR_MS),
      requestDeadlineMs: milliseconds(100, 120_000).default(20_000),
      shutdownDeadlineMs: milliseconds(0, 120_000).default(5_000),
    })
    .prefault({}),
  healing: z
    .strictObject({
      /** Interval between two checks of all key servers; each interval is changed by a random part of it. */
      intervalMs: milliseconds(100, HOUR_MS).default(30_000),
      /** First wait of a locked node; doubles up to `retryMaxMs`, with jitter. */
      retryMinMs: milliseconds(50, HOUR_MS).default(1_000),
      retryMaxMs: milliseconds(50, HOUR_MS).default(60_000),
      /** How long a key server may be silent before its slot is replaced. */
      patienceMs: milliseconds(0, 24 * HOUR_MS).default(120_000),
      /** How old the slots of a healthy store become before they are made again; absent: only events replace them. */
      renewEveryMs: milliseconds(HOUR_MS, 366 * 24 * HOUR_MS).optional(),
      /** One request to one peer. */
      peerDeadlineMs: milliseconds(100, 60_000).default(8_000),
      /** After a restart, how long to wait at most for former clients before reporting ready. */
      formerClientsDeadlineMs: milliseconds(0, HOUR_MS).default(120_000),
      /** The own attestation is made at most this often. */
      attestationIntervalMs: milliseconds(1_000, HOUR_MS).default(60_000),
    })
    .prefault({}),
  /** This node's part in the ring of `trust.ring`, docs/ring.md; without `trust.ring` it has none. */
  ring: z
    .strictObject({
      /** Between two comparisons with the other members while nothing changes. */
      intervalMs: milliseconds(100, HOUR_MS).default(10_000),
      /** One message to one member. */
      timeoutMs: milliseconds(100, 60_000).default(8_000),
      /** How often the other end of a channel has to attest itself. */
      attestEveryMs: milliseconds(1_000, HOUR_MS).default(600_000),
      /** Of all records that this node keeps for the ring. */
      maxBytes: z
        .int()
        .min(1)
        .default(1024 * 1024 * 1024),
      /** Free space of the disk that the ring leaves to the node's own store. */
      keepFreeBytes: z
        .int()
        .min(0)
        .default(256 * 1024 * 1024),
    })
    .prefault({}),
  /** Users' secrets, at a node that takes part in the ring; docs/secrets.md. */
  secrets: secretsSection.prefault({}),
  /** The agent's ritual fragments, docs/rituals.md. */
  rituals: z
    .strictObject({
      /** Permit only what the stored conditions of a ritual state. */
      requireConditions: z.boolean().default(false),
    })
    .prefault({}),
  /** Of the commands `backup` and `restore`, docs/operations.md. */
  backup: z
    .strictObject({
      /** Folder where backups of this node go, and where the newest one is restored from; one for each node. */
      location: z.string().optional(),
    })
    .prefault({}),
  decryptions: decryptionsSection.optional(),
  /** The routes of entropy-tss on the open port, docs/entropy.md. */
  entropyRoutes: z.boolean().default(false),
  log: z
    .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info') })
    .prefault({}),
});

/** A validated configuration, all defaults filled in; holds no secret. */
export type Config = z.output<typeof configSchema>;
