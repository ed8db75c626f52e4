import type { PlatformPolicy } from '../trust/trust-section.ts';
import { adviceFor } from './advice.ts';

/** What the configuration asks the operator to choose; `latchkey config init` says the same when it asks. */
export const RECOVER_CHOICES = {
  bound: 'to the platform that its keys are bound to. For machines that always start on the same hardware.',
  endorsed: 'to every platform on the signed list of trust.authority. For clouds that place machines anew.',
  any: 'to any TDX machine: one extracted attestation key and a copy of the disk give all keys of a node.',
} as const satisfies Record<PlatformPolicy['recover'], string>;

/** The placeholder for the choice; it is refused. */
const CHOOSE = 'recover: choose';
const THRESHOLD = '  minimumThreshold: 2';
const BOOTSTRAP = 'bootstrap: false';

/** What `latchkey config init` is told. */
export interface TemplateChoices {
  readonly recover?: PlatformPolicy['recover'] | undefined;
  /** How many nodes the network has, at least 2. */
  readonly nodes?: number | undefined;
}

/** The text that `latchkey config init` prints, with the choices made. */
export function templateWith({ recover, nodes }: TemplateChoices): string {
  let text = configTemplate;
  if (recover !== undefined) text = text.replace(CHOOSE, `recover: ${recover}`);
  if (nodes === undefined) return text;
  const { minimumThreshold, bootstrap, together } = adviceFor(nodes);
  return text
    .replace(
      THRESHOLD,
      `  # ${nodes} nodes: any ${together} may fail in one moment (docs/survival.md).\n  minimumThreshold: ${minimumThreshold}`,
    )
    .replace(BOOTSTRAP, `bootstrap: ${String(bootstrap).padEnd(5)}`);
}

/** The text that `latchkey config init` prints: every key with its default and its meaning. */
export const configTemplate = `# Latchkey node. Every key is described in docs/configuration.md.
# Durations are milliseconds. LATCHKEY_… variables override single keys: \`latchkey config environment\`.

node:
  dataFolder: ./data                  # holds node/store, node/keyslots and agent.sock
  # expectedAccount: 5F…              # refuse to become a new node when this account's store is not on the disk

listen:                               # the open port: key protocol, /info, /healthz, /readyz
  host: 0.0.0.0
  port: 3001

metrics:                              # Prometheus, on its own listener
  host: 127.0.0.1
  port: 9301

# page:                               # the status page, read-only; without this section there is none
#   host: 127.0.0.1                   # it shows accounts of clients: keep it on the own machine
#   port: 9302
#   hostNames: []                     # names under which browsers may ask, in addition to localhost

# agent:
#   socketPath: ./data/agent.sock     # local API of the store, mode 0600
#   transit: false                    # seal "transit" of Vault and OpenBao (docs/transit.md)

chain:
  endpoints: [ws://127.0.0.1:9944]
  agreement: 1                        # so many endpoints must say the same
  # developmentRegistration: { stash: 5F…, endpoint: "127.0.0.1:3001" }   # development chain only

quote:
  source: configfs                    # /sys/kernel/config/tsm/report of a TD
  # path: /sys/kernel/config/tsm/report
  # source: development, with url: http://127.0.0.1:8091 and platform: 0, for quotes of mock-tdx

collateral:
  endpoints: [https://api.trustedservices.intel.com]   # Intel's PCS, or PCCS caches of it; tried in order
  # cacheFolder: ./data/collateral    # none keeps nothing; everything in it is verified again when it is read

# Security depends on this section and on nothing else in this file. Its hash (latchkey trust hash) must be MRCONFIGID
# of the machine; a change needs a new hash, and peers accept both through acceptedTrustHashes.
trust:
  version: 1
  chain:
    # The hash of block 0 of your chain; this placeholder is refused.
    genesisHash: "0x0000000000000000000000000000000000000000000000000000000000000000"
    # With a checkpoint no endpoint is believed: the chain is read by proof. latchkey trust checkpoint prints one.
    # checkpoint: { blockNumber: 0, blockHash: "0x…", authoritySetId: 0, authorities: ["0x…"] }
  measurement:
    policy: own                       # own | chain (also the chain's accepted list) | pinned
    # accepted: ["0x…"]               # with pinned: 32-byte measurement ids
  tcb: {}                             # policy file of latchkey quote verify; {} accepts UpToDate only
  # How many key servers must give their slot to open a store: never fewer than this, whatever the chain shows. Set 3 as
  # soon as the network has five nodes: a store then needs 3 of its 4 slots (3 of 5 with six nodes or more), and a host
  # that shows the node a smaller chain cannot bring that down to 2. Keep 2 with four nodes; with two or three nodes a
  # store needs 1 slot, and bootstrap. latchkey config init --nodes N writes what fits.
  minimumThreshold: 2
  bootstrap: false                    # true allows a network of 1 or 2 key servers, with threshold 1
  freshness:
    attestationMaxAgeMs: 900000
    chainHeadMaxAgeMs: 600000
    clockToleranceMs: 120000
    tcbGraceMs: 2592000000            # 30 days: recovery with a TCB that has just become out of date
    collateralGraceMs: 0              # how long collateral that has run out may still be used
    maxTimeJumpMs: 86400000           # how far the time of the key servers may be ahead of chain and own clock
  # fencing: { leaseMs: 60000 }       # stop writing without word from the key servers; a restart takes as much longer
  acceptedTrustHashes: []
  # Who may sign a fleet manifest (docs/fleet.md); latchkey fleet keygen makes the keys and prints this.
  # authority: { id: "0x…", threshold: 2, keys: ["0x…"], minimumSerial: 1, delayMs: 86400000 }
  # ring:                             # the ring of users' secrets (docs/ring.md); the same for the whole fleet
  #   firstBlock: 0                   # a recent block, at which it begins
  #   everyBlocks: 10
  #   replicas: 4
  # audit: { required: true }         # no key leaves without a durable entry of the audit log (docs/audit.md)
  # relay: { authorities: ["-----BEGIN CERTIFICATE-----…"] }   # for upstream services of users' secrets
  platforms:
    # To whom the servers give the keys of a locked store back, choose one:
    # bound    ${RECOVER_CHOICES.bound}
    #          After a change of the hardware a move has to be signed; without trust.authority nobody can,
    #          and the store is lost with the machine.
    # endorsed ${RECOVER_CHOICES.endorsed}
    # any      ${RECOVER_CHOICES.any}
    ${CHOOSE}
    servers: registered               # who may hold a slot: registered | endorsed (default where there is an authority)
    clients: any                      # for whom this server makes new keys: any | endorsed
  # custody:                          # who opens a store after a total blackout (docs/custody.md); without: nobody
  #   threshold: 2
  #   custodians: []                  # { name: alice, key: "0x…" }, as latchkey custody keygen prints it

# With trust.authority, manifests come from the registered servers from these URLs and from these files;
# signatures decide, not sources.
fleet:
  sources: []
  files: []
  intervalMs: 60000                   # how often they are asked

audit:
  maxEntries: 200000                  # of the record of every key that was given (docs/audit.md)

limits:
  perAddress: { burst: 200, perSecond: 50 }
  perPlatform: { burst: 60, perSecond: 10 }
  maxKeys: 400000
  maxKeysPerPlatform: 4096
  maxKeysPerPlatformAndAccount: 32
  maxPlainKeysPerPlatform: 64
  unregisteredKeyTtlMs: 2592000000    # 30 days after the last use of a key whose account has no record on the chain
  maxLineages: 200000                 # these two are the least that is allowed
  maxLineagesPerPlatform: 4096
  lineageTtlMs: 7776000000            # 90 days (at least 30): how long a store is remembered after its last key and request
  requestDeadlineMs: 20000
  shutdownDeadlineMs: 5000

healing:
  intervalMs: 30000                   # between two looks at all key servers
  retryMinMs: 1000                    # waits of a locked or degraded node, doubling
  retryMaxMs: 60000
  patienceMs: 120000                  # how long a key server may be silent before its slot is replaced
  # renewEveryMs: 604800000           # make the slots again when they are a week old, and not only after events
  peerDeadlineMs: 8000
  formerClientsDeadlineMs: 120000     # after a restart: how long not to be ready while former clients enrol again
  attestationIntervalMs: 60000

ring:                                 # this node's part in the ring of trust.ring
  intervalMs: 10000
  timeoutMs: 8000
  attestEveryMs: 600000               # how often the other end of a channel has to attest itself
  maxBytes: 1073741824                # of all records
  keepFreeBytes: 268435456            # free space that the node's own store keeps

secrets:                              # users' secrets, where the node takes part in the ring (docs/secrets.md)
  users: []                           # accounts that may deploy, or all
  maxRecords: 100000                  # of all users
  maxRecordsPerUser: 64
  maxBytesPerUser: 1048576
  perUser: { burst: 60, perSecond: 5 }
  relay:
    totalMs: 15000                    # at most limits.requestDeadlineMs
    idleMs: 10000
    maxAnswerBytes: 1048576
    maxConcurrent: 32
    maxConcurrentPerUser: 4           # of one caller
    maxConcurrentPerOwner: 8          # with secrets of one owner
    allowAddresses: []                # such as 10.1.2.0/24; public addresses need no entry

rituals:
  requireConditions: false            # true: only what the stored conditions of a ritual state is permitted

# backup:
#   location: /backups/this-node      # folder of the commands backup and restore, for this node alone; it must exist

# decryptions:                        # the decryption service (docs/decryptions.md) on this node's store
#   host: 127.0.0.1
#   port: 8001
#   maxExpectedOracleDelayMs: 7000    # how long a GET waits for the PUT
#   maxWaiters: 16384
#   maxWaitersPerNetwork: 1024       # of one address or IPv6 /64; behind a proxy elsewhere as maxWaiters
#   maxBodyBytes: 1048576
#   overwrite: true
#   allowDelete: false
#   maxSignaturesPerKey: 64
#   writeAuthorization: { kind: open }   # or { kind: bearer, tokenFile: ./token }, { kind: sr25519, accounts: [5F…] }
#   prune: { everyMs: 3600000, maxAgeMs: 2592000000, maxCount: 1000000 }

# The routes by which nodes of entropy-tss back up and recover their keys (docs/entropy.md).
entropyRoutes: false

log:
  level: info                         # debug | info | warn | error | silent
`;
