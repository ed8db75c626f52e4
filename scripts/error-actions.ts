import type { ErrorCode } from '../src/errors/codes.ts';

/** What to do about an error, and the codes of which it is true. Every code stands in exactly one line. */
export const errorActions: readonly (readonly [action: string, codes: readonly ErrorCode[]])[] = [
  [
    'Correct the request: `field`, `expected` and `observed` name the place; the schema is in openapi.json or openapi-agent.json.',
    [
      'FIELD_INVALID',
      'BODY_NOT_JSON',
      'UNSUPPORTED_MEDIA_TYPE',
      'ROUTE_NOT_FOUND',
      'METHOD_NOT_ALLOWED',
      'LINE_INVALID',
    ],
  ],
  [
    'Send the request again; if it stays, look at the proxy or network in between.',
    ['BODY_INCOMPLETE', 'REQUEST_TIMEOUT'],
  ],
  [
    'Send less at once: split it, or raise the limit where the configuration has one.',
    [
      'BODY_TOO_LARGE',
      'LINE_TOO_LONG',
      'STORE_VALUE_TOO_LARGE',
      'STORE_BATCH_TOO_LARGE',
      'EPOCH_LIMIT',
      'SECRET_TOO_LARGE',
    ],
  ],
  [
    'Open the page by a name of its own machine (127.0.0.1, localhost or [::1]), or by `ssh -L` to it.',
    ['HOST_REFUSED'],
  ],
  ['Read the present value and its tag, and decide again.', ['PRECONDITION_FAILED', 'STORE_CONFLICT']],
  [
    'Wait as long as `Retry-After` says. For a peer of yours that is always refused so: raise `limits.perAddress` or `limits.perPlatform`.',
    ['RATE_LIMITED', 'PLATFORM_LIMIT'],
  ],
  [
    'Find what uses the address, or correct `listen`, `metrics` or the address of the service in the configuration.',
    ['LISTEN_FAILED', 'DECRYPTIONS_LISTEN_FAILED'],
  ],
  ['A defect: report it with the log line of the same request id.', ['INTERNAL', 'IDENTITY_MISSING']],
  [
    'Nothing to repair here: the sender made or changed the evidence wrongly. If it is your machine, check its quoting software, and compare with `latchkey quote inspect`.',
    [
      'QUOTE_MALFORMED',
      'QUOTE_TRUNCATED',
      'QUOTE_TRAILING_BYTES',
      'QUOTE_TOO_LARGE',
      'QUOTE_UNSUPPORTED',
      'QUOTE_SIGNATURE_INVALID',
      'QE_REPORT_SIGNATURE_INVALID',
      'QE_REPORT_DATA_MISMATCH',
      'ATTESTATION_KEY_INVALID',
      'PCK_EXTENSION_INVALID',
      'EVENT_LOG_MALFORMED',
      'EVENT_LOG_MISMATCH',
    ],
  ],
  [
    'Get the certificate chain of the platform again (PCK certificate, PCCS). If it is not your machine: somebody sent forged evidence, and nothing has to be done.',
    [
      'CERTIFICATE_MALFORMED',
      'CERTIFICATE_CHAIN_INVALID',
      'CERTIFICATE_SIGNATURE_INVALID',
      'CERTIFICATE_EXPIRED',
    ],
  ],
  [
    'Compare the clock of the verifier with the chain and its peers: `latchkey doctor`.',
    [
      'CERTIFICATE_NOT_YET_VALID',
      'CRL_NOT_YET_VALID',
      'TCB_INFO_NOT_YET_VALID',
      'QE_IDENTITY_NOT_YET_VALID',
      'TIMESTAMP_STALE',
      'SECRET_REQUEST_STALE',
      'CUSTODY_CLOCKS_DIFFER',
    ],
  ],
  [
    'Intel or the fleet has withdrawn this machine, module or certificate. Replace or update it; do not override.',
    ['CERTIFICATE_REVOKED', 'TCB_REVOKED', 'PLATFORM_REVOKED'],
  ],
  [
    'The quote comes from development or another vendor. In production refuse it; in development start with `--insecure-trust-root` of that root.',
    ['ROOT_NOT_TRUSTED'],
  ],
  [
    'Give the PEM file of the root certificate itself, as mock-tdx serves it at /root.pem.',
    ['TRUST_ROOT_INVALID'],
  ],
  [
    'Fetch the collateral again, from Intel’s service or another cache: `latchkey collateral fetch`, `latchkey collateral check`. A cache that repeats it is broken or hostile.',
    [
      'CRL_MALFORMED',
      'CRL_ISSUER_MISMATCH',
      'CRL_SIGNATURE_INVALID',
      'COLLATERAL_MALFORMED',
      'TCB_INFO_SIGNATURE_INVALID',
      'TCB_INFO_INVALID',
      'QE_IDENTITY_SIGNATURE_INVALID',
      'QE_IDENTITY_INVALID',
      'FMSPC_MISMATCH',
      'PCEID_MISMATCH',
      'COLLATERAL_ROLLED_BACK',
      'COLLATERAL_FILE_INVALID',
    ],
  ],
  [
    'Bring the service of `collateral.endpoints` back; it serves old documents or none. Do not restart nodes until it is.',
    [
      'CRL_EXPIRED',
      'TCB_INFO_EXPIRED',
      'QE_IDENTITY_EXPIRED',
      'COLLATERAL_UNAVAILABLE',
      'TCB_EVALUATION_TOO_OLD',
    ],
  ],
  [
    'Update BIOS, microcode and TDX module of the machine, and start the TD again ([patch day](runbooks.md#patch-day)).',
    [
      'QE_IDENTITY_MISMATCH',
      'TDX_MODULE_MISMATCH',
      'TCB_NOT_SUPPORTED',
      'TCB_STATUS_REFUSED',
      'ADVISORY_REFUSED',
    ],
  ],
  [
    'Start the TD with the hash that `latchkey trust hash` prints as its MRCONFIGID, or with the configuration that has this hash.',
    ['MR_CONFIG_ID_MISMATCH', 'TRUST_HASH_MISMATCH'],
  ],
  ['Correct the policy; the message names the field. `latchkey quote verify` tries it.', ['POLICY_INVALID']],
  [
    'Start the TD without debug, with the attributes and features that the policy asks for. Do not loosen the policy in production.',
    ['TD_DEBUG', 'TD_ATTRIBUTES_REFUSED', 'XFAM_REFUSED', 'SERVICE_TD_REFUSED', 'EXTENDED_REPORT_REFUSED'],
  ],
  [
    'The image is not accepted here (yet). Start the former image again, and have the new one accepted first ([upgrade](runbooks.md#upgrade-image-and-trust-section)).',
    ['MEASUREMENT_REFUSED'],
  ],
  [
    'The trust section is not accepted here (yet). Start with the former configuration again, and have the new hash accepted first ([upgrade](runbooks.md#upgrade-image-and-trust-section)).',
    ['TRUST_SECTION_REFUSED'],
  ],
  [
    'Compare the trust section with the machine: `latchkey doctor` and `latchkey quote verify` name the part that does not fit.',
    ['OWN_QUOTE_REFUSED'],
  ],
  [
    'Check path, permissions and format of the file that the message names.',
    [
      'STORE_FILE_UNREADABLE',
      'STORE_FILE_UNWRITABLE',
      'INPUT_UNREADABLE',
      'CUSTODY_BLOCK_MALFORMED',
      'FLEET_FILE_MALFORMED',
      'RITUALS_CONFIG_INVALID',
      'DECRYPTIONS_CONFIG_INVALID',
      'AUDIT_EXPORT_INVALID',
      'STORE_PASSWORD_INVALID',
    ],
  ],
  [
    'Check that this is a TD, that configfs-tsm is mounted and writable, and that the quoting service of the host runs.',
    ['QUOTE_SOURCE_UNAVAILABLE', 'QUOTE_SOURCE_FAILED'],
  ],
  [
    'Check `chain.endpoints`, add others, and look whether the chain makes blocks ([runbook](runbooks.md#the-chain-stands-still)).',
    [
      'CHAIN_UNAVAILABLE',
      'CHAIN_STALE',
      'CHAIN_DISAGREEMENT',
      'CHAIN_PROOF_INVALID',
      'CHAIN_FINALITY_UNPROVEN',
    ],
  ],
  ['Compare `chain.endpoints` and `trust.chain` with the chain that you mean.', ['CHAIN_GENESIS_MISMATCH']],
  [
    'Install a version of Latchkey that knows this runtime.',
    ['CHAIN_SHAPE_UNKNOWN', 'STORE_FORMAT_UNSUPPORTED', 'RITUALS_CONFIG_VERSION'],
  ],
  [
    'Put a newer checkpoint from a source that you trust into the trust section: `latchkey trust checkpoint`.',
    ['CHAIN_AUTHORITIES_UNKNOWN'],
  ],
  [
    'Ask `POST /challenge` again and make a new quote over the new challenge; a program of your own: compare with docs/protocol.md.',
    [
      'CHALLENGE_MISSING',
      'CHALLENGE_INVALID',
      'CHALLENGE_EXPIRED',
      'SERVER_NOT_ADDRESSED',
      'REPORT_DATA_MISMATCH',
      'QUOTE_NONCE_INVALID',
      'QUOTE_NONCE_EXPIRED',
    ],
  ],
  [
    'Send the proof from the token that came with the key (it is in the keyslot file). Without the keyslot file the key cannot be recovered.',
    ['RECOVERY_PROOF_REQUIRED', 'RECOVERY_PROOF_WRONG'],
  ],
  [
    'Register the server or account on the chain, and wait until the record is finalized.',
    ['SERVER_UNREGISTERED', 'ACCOUNT_DEREGISTERED', 'BACKUP_UNREGISTERED', 'BACKUP_PLATFORM_UNKNOWN'],
  ],
  [
    'Register again, with a quote over account and X25519 key of the running node (`GET /info`).',
    ['REGISTRATION_MISMATCH'],
  ],
  [
    'Have a move of the account signed ([another machine](operations.md#another-machine-for-a-store)), or start on the former machine.',
    ['PLATFORM_REFUSED'],
  ],
  [
    'Have the platform endorsed by a fleet manifest ([runbook](runbooks.md#fleet-manifests)), and wait for its delay.',
    ['PLATFORM_NOT_ENDORSED'],
  ],
  [
    'The node does this itself with its next look at the slots; a client of your own: confirm the slot again.',
    ['SLOT_UNLINKED', 'LINEAGE_UNKNOWN'],
  ],
  ['Take a new random slot id.', ['LINEAGE_OTHER', 'KEY_EXISTS']],
  [
    'Put the newest disk back. To go on from the older one on purpose: `latchkey accept-rollback`, after reading what it says.',
    ['LINEAGE_CLOSED', 'STORE_ROLLED_BACK'],
  ],
  [
    'The server has lost its memory, or never had the key; the node heals by itself while it runs. For a locked node: [runbook](runbooks.md#a-store-is-locked).',
    ['KEY_UNKNOWN'],
  ],
  [
    'Ask again after `Retry-After`, or another server. If it goes on for longer than a restart of the whole network takes: [overload](operations.md#overload).',
    ['SERVER_BUSY'],
  ],
  [
    'Use another server; this one will be stopped. To end the drain: `latchkey drain --cancel`.',
    ['SERVER_DRAINING'],
  ],
  ['Raise `limits.maxKeys`, or find the platform that fills the table.', ['VAULT_FULL']],
  [
    'Ask the node that encrypted it, with the same key name and associated data: each node has keys of its own ([transit.md](transit.md)).',
    ['TRANSIT_CIPHERTEXT_INVALID'],
  ],
  ['Encrypt once under the name, which makes the key; or correct the name.', ['TRANSIT_KEY_NOT_FOUND']],
  ['Use a key name that is there already.', ['TRANSIT_KEYS_FULL']],
  [
    'Make a new ephemeral key; one of small order is a broken or hostile client.',
    ['HPKE_PUBLIC_KEY_INVALID'],
  ],
  [
    'Correct the configuration at the place that the message names: `latchkey config check` tries it.',
    ['TRUST_SECTION_INVALID', 'CONFIG_INVALID'],
  ],
  [
    'Get the manifest again from a source that you trust: `latchkey fleet verify` shows what a node would say.',
    ['FLEET_HEADER_MALFORMED', 'FLEET_SIGNATURE_INVALID', 'FLEET_BODY_MISMATCH', 'FLEET_BODY_MALFORMED'],
  ],
  [
    'Compare `trust.chain.genesisHash` and `trust.authority` with the manifest: it is for another fleet or authority.',
    ['FLEET_NETWORK_OTHER', 'FLEET_AUTHORITY_OTHER', 'FLEET_PREDECESSOR_OTHER'],
  ],
  ['Have more people sign: `latchkey fleet sign`.', ['FLEET_SIGNATURES_TOO_FEW']],
  [
    'Draft again from the newest manifest (`latchkey fleet draft --from FORMER`), with a present date and the next serial.',
    [
      'FLEET_SERIAL_TOO_LOW',
      'FLEET_SERIAL_OLDER',
      'FLEET_SERIAL_TOO_HIGH',
      'FLEET_ISSUED_AHEAD',
      'FLEET_AGE_REFUSED',
    ],
  ],
  [
    'Read whom it names; take access away in steps, or confirm with `--accept-losses` or `--accept-unknown`.',
    ['FLEET_DRAFT_REFUSED'],
  ],
  [
    'Open the store or the node again; a program: keep it open while you use it.',
    ['STORE_CLOSED', 'STORE_SNAPSHOT_RELEASED', 'DECRYPTION_SERVICE_CLOSED'],
  ],
  [
    'Check the path of the folder, and that the right disk is mounted.',
    [
      'STORE_NOT_FOUND',
      'STORE_PLACE_NOT_A_FOLDER',
      'NODE_MISSING',
      'NODE_ACCOUNT_MISMATCH',
      'KEYSLOT_FILE_FOREIGN',
      'STORE_SEGMENT_FOREIGN',
      'STORE_RECORD_FOREIGN',
    ],
  ],
  [
    'Choose an empty folder, or move what is there away yourself; nothing is overwritten.',
    ['STORE_EXISTS', 'STORE_PLACE_NOT_EMPTY'],
  ],
  ['Stop the other process first.', ['STORE_LOCKED', 'NODE_RUNNING']],
  [
    'Use the key or password of this store; a wrong one changes nothing.',
    ['STORE_WRONG_KEY', 'STORE_PASSWORD_WRONG'],
  ],
  [
    'Keep the disk as it is, and restore a backup ([disk damage](runbooks.md#disk-damage)). For a store with a password: `latchkey store repair` says what is left.',
    [
      'STORE_PASSWORD_HEADER',
      'STORE_KEY_CHECK_MISSING',
      'STORE_MANIFEST_MISSING',
      'STORE_MANIFEST_DAMAGED',
      'STORE_SEGMENT_MISSING',
      'STORE_SEGMENT_TRUNCATED',
      'STORE_SEGMENT_SWAPPED',
      'STORE_SEGMENT_DAMAGED',
      'STORE_RECORD_MISPLACED',
      'STORE_RECORD_DAMAGED',
      'STORE_NAMESPACE_KEY_DAMAGED',
      'RITUAL_RECORD_DAMAGED',
      'DECRYPTION_RECORD_DAMAGED',
      'EPOCH_RECORD_INVALID',
    ],
  ],
  ['Use the namespace as it was made (erasable or not), or make another one.', ['STORE_NAMESPACE_KIND']],
  [
    'Nothing is stored under this name: check the name, or write it first.',
    [
      'STORE_NAMESPACE_MISSING',
      'STORE_NAME_MISSING',
      'RITUAL_NOT_FOUND',
      'RITUAL_ENTRY_NOT_FOUND',
      'RECORD_NOT_FOUND',
      'DECRYPTION_NOT_FOUND',
      'EPOCH_JOURNAL_NOT_FOUND',
      'EPOCH_ENTRY_NOT_FOUND',
      'LUKS_VOLUME_MISSING',
      'SECRET_NOT_FOUND',
    ],
  ],
  ['Start the read or the backup again.', ['STORE_NAMESPACE_ERASED', 'STORE_BACKUP_KEY_CHANGED']],
  ['Choose a name that is allowed.', ['STORE_NAME_INVALID']],
  [
    'Wait and write again, more slowly.',
    [
      'STORE_OVERLOADED',
      'STORE_BACKUP_RUNNING',
      'DECRYPTION_WAITERS_FULL',
      'DECRYPTION_BODIES_FULL',
      'RING_BUSY',
      'RING_MARKS_FULL',
      'SECRET_RELAY_BUSY',
    ],
  ],
  [
    'Free room on the disk, or mount it for writing; the node goes on by itself ([disk damage](runbooks.md#disk-damage)).',
    ['STORE_DISK_FULL', 'STORE_DISK_READ_ONLY', 'STORE_RESOURCES_SHORT'],
  ],
  [
    'Repair the disk of the server that answers so ([disk damage](runbooks.md#disk-damage)), or see why its account is held elsewhere (`latchkey status --explain`); until then the other servers of the slots give their keys.',
    ['AUDIT_REQUIRED'],
  ],
  [
    'Check the disk and the kernel log; a node that takes no writes needs a restart when its slots are whole ([disk damage](runbooks.md#disk-damage)).',
    ['STORE_WRITE_FAILED', 'STORE_READ_FAILED', 'KEYSLOT_READ_FAILED', 'KEYSLOT_WRITE_FAILED'],
  ],
  [
    'Check permissions, inodes and locks of the data folder’s file system.',
    ['STORE_LOCK_UNAVAILABLE', 'STORE_FILE_IRREGULAR'],
  ],
  [
    'Make the sealed file in place of JSON: give it a name without `.json` ([rituals](rituals.md)).',
    ['RITUALS_BACKUP_TOO_LARGE'],
  ],
  [
    'Take another backup file; this one is damaged, cut off, or none.',
    ['STORE_BACKUP_INVALID', 'STORE_BACKUP_DAMAGED', 'STORE_BACKUP_TRUNCATED'],
  ],
  [
    'The program wrote this name before: read what is there.',
    ['STORE_ALREADY_RESERVED', 'STORE_NAME_TAKEN', 'STORE_NAME_RESERVED', 'STORE_RESERVATION_INVALID'],
  ],
  [
    'Confirm with the option that the message names, after reading what would be lost.',
    ['STORE_CONFIRMATION_NEEDED', 'CUSTODY_UNCONFIRMED'],
  ],
  [
    'Ask `latchkey status --explain` what the node waits for ([runbook](runbooks.md#a-store-is-locked)).',
    ['NODE_LOCKED'],
  ],
  ['Stop the other instance, or check the disk ([runbook](runbooks.md#a-node-is-fenced)).', ['NODE_FENCED']],
  [
    'Wait; bring key servers of the node back ([runbook](runbooks.md#too-few-slots)).',
    ['NODE_UNCLAIMED', 'ROTATION_NOT_BACKED', 'ROTATION_INCOMPLETE'],
  ],
  [
    'Read the value at the node that holds the account now, and write again where it is missing.',
    ['WRITE_UNCERTAIN'],
  ],
  [
    'Put the newest copy of the keyslot file back (`FILE.keyslots` of a backup), or give the store up with `latchkey abandon`.',
    ['NODE_NEVER_BACKED', 'KEYSLOT_FILE_MISSING', 'KEYSLOT_FILE_MALFORMED'],
  ],
  ['Nothing to accept: the store is not refused as too old.', ['ROLLBACK_NOT_REFUSED']],
  ['Start the drain again if the node is still to be stopped.', ['DRAIN_ENDED']],
  [
    'The store was made before there were custodians: run the node with them, so that its next generation has parts.',
    ['CUSTODY_ABSENT'],
  ],
  [
    'Take the key of the custodian that the request names, and the newest request.',
    ['CUSTODY_PART_WRONG', 'CUSTODY_ANSWER_WRONG'],
  ],
  [
    'Make a new request: `latchkey custody request`, and do not restart the node after it.',
    ['CUSTODY_REQUEST_OLD', 'CUSTODY_REQUEST_UNKNOWN'],
  ],
  [
    'The node can open or has opened its store by its servers. Do not ask custodians.',
    ['CUSTODY_NOT_NEEDED'],
  ],
  [
    'Remove the variable or flag that the message names from the start of the service.',
    ['ENVIRONMENT_REFUSED'],
  ],
  ['Start the node, and check `agent.socketPath` and who may open it.', ['NODE_UNREACHABLE']],
  [
    'Choose another name; without its header the data of a volume are lost, so none is replaced.',
    ['LUKS_VOLUME_EXISTS'],
  ],
  ['Give `--memory-folder` a folder on tmpfs.', ['LUKS_FOLDER_NOT_IN_MEMORY']],
  ['Install cryptsetup 2.6 or newer in the image, and read what it printed.', ['LUKS_CRYPTSETUP_FAILED']],
  [
    'A defect of the program that calls, or of a participant: compare its messages with docs/epochs.md.',
    ['EPOCH_ENCODING', 'EPOCH_PRUNED', 'EPOCH_IS_CURRENT', 'EPOCH_CONFLICT', 'EPOCH_SECRET_CONFLICT'],
  ],
  [
    'Another value stands there and stays. Find out which of the two is right.',
    ['RITUAL_CONFLICT', 'DECRYPTION_CONFLICT', 'DECRYPTION_SIGNATURES_FULL', 'BACKUP_CONFLICT'],
  ],
  [
    'The conditions of the ritual refuse it: state, permission, expiry, payment ([rituals](rituals.md)).',
    ['RITUAL_NOT_ACTIVE', 'RITUAL_NOT_PARTICIPANT', 'RITUAL_UNAUTHORIZED', 'RITUAL_EXPIRED', 'RITUAL_UNPAID'],
  ],
  ['Look at `cause`, correct it, and run the transaction again.', ['TRANSACTION_ABORTED']],
  [
    'Correct the body ([decryptions](decryptions.md)).',
    ['DECRYPTION_BODY_SHAPE', 'DECRYPTION_SIGNATURE_INVALID'],
  ],
  [
    'Look at the etcd cluster (`etcdctl endpoint status`), and at `engine` of the configuration ([decryptions](decryptions.md#several-instances-on-etcd)).',
    ['DECRYPTIONS_ENGINE_UNAVAILABLE', 'DECRYPTIONS_ENGINE_REFUSED', 'DECRYPTIONS_ENGINE_ANSWER_INVALID'],
  ],
  [
    'Write with a token or account of `decryptions.writeAuthorization`.',
    ['DECRYPTION_WRITE_UNAUTHENTICATED', 'DECRYPTION_WRITE_FORBIDDEN'],
  ],
  [
    'Wait until the ring serves; `latchkey status --explain` says what it needs ([the ring](operations.md#the-ring)).',
    [
      'RING_NOT_MEMBER',
      'RING_NOT_READY',
      'RING_OTHER_CONFIGURATION',
      'RING_QUORUM_MISSING',
      'RING_PEER_UNREACHABLE',
    ],
  ],
  ['Ask a node whose trust section has a ring.', ['RING_OFF']],
  ['Publish to a node whose trust section has an `authority`.', ['FLEET_OFF']],
  [
    'Stop the member that is named, and report it ([the ring](operations.md#the-ring)).',
    ['RING_VIEWS_DIFFER'],
  ],
  [
    'Delete a secret, or have the operators list the user and raise the quotas, alike at all members.',
    ['RING_RECORD_REFUSED'],
  ],
  ['Make room: raise `ring.maxBytes` or the disk, or add members.', ['RING_FULL', 'SECRET_RING_FULL']],
  [
    'A client of your own: compare with docs/secrets.md; with `latchkey secret` it does not occur.',
    [
      'SECRET_RECORD_INVALID',
      'SECRET_SIGNATURE_INVALID',
      'SECRET_VALUE_MISMATCH',
      'SECRET_OTHER_NODE',
      'SECRET_REQUEST_REPLAYED',
      'SECRET_SEALING_WRONG',
      'SECRET_VERB_UNKNOWN',
      'SECRET_HEADER_REFUSED',
    ],
  ],
  [
    'Read the secret list again and write with the next version, or use `update`.',
    ['SECRET_VERSION_OLD', 'SECRET_EXISTS'],
  ],
  [
    'Delete secrets, or have the operator raise `secrets.maxRecordsPerUser` and `secrets.maxBytesPerUser`.',
    ['SECRET_QUOTA'],
  ],
  [
    'Deploy the secret again, or renew it or its ACL with `latchkey secret update`.',
    ['SECRET_EXPIRED', 'SECRET_ACL_EXPIRED', 'SECRET_COUNT_EXHAUSTED'],
  ],
  [
    'The owner’s ACL does not allow this request; the owner can change it with `latchkey secret update`.',
    [
      'SECRET_CALLER_REFUSED',
      'SECRET_SCOPE_MISMATCH',
      'SECRET_VERB_REFUSED',
      'SECRET_PATH_REFUSED',
      'SECRET_PLACE_REFUSED',
      'SECRET_PLAIN_HTTP_REFUSED',
      'SECRET_VALUE_UNUSABLE',
    ],
  ],
  ['The operator adds the account to `secrets.users`.', ['SECRET_USER_REFUSED']],
  ['Ask the node that is nearest to the secret; `latchkey secret` does so by itself.', ['SECRET_NOT_HOLDER']],
  [
    'Find out at the upstream whether it acted, before you send it again under another key.',
    [
      'SECRET_OUTCOME_UNKNOWN',
      'SECRET_UPSTREAM_FAILED',
      'SECRET_UPSTREAM_TIMEOUT',
      'SECRET_ANSWER_TOO_LARGE',
    ],
  ],
  ['The operator can add the address to `secrets.relay.allowAddresses`.', ['SECRET_ADDRESS_REFUSED']],
  [
    'Check the address and certificate of the upstream, and send it again: nothing was sent.',
    ['SECRET_UPSTREAM_UNREACHABLE'],
  ],
  [
    'Open another session; the nodes do so by themselves. If it stays, somebody changes traffic between them.',
    [
      'CHANNEL_HANDSHAKE_INVALID',
      'CHANNEL_MESSAGE_INVALID',
      'CHANNEL_MESSAGE_REPLAYED',
      'CHANNEL_SESSION_UNKNOWN',
      'CHANNEL_EXHAUSTED',
    ],
  ],
  [
    'Look at the image, trust section and platform of the other node, and at its registration.',
    ['CHANNEL_PEER_UNPROVEN', 'CHANNEL_PEER_REFUSED'],
  ],
  [
    'Check the client of entropy-tss, and to which server’s key it seals ([entropy](entropy.md)).',
    ['ENVELOPE_INVALID', 'ENVELOPE_SIGNATURE_WRONG', 'BACKUP_KEY_LENGTH'],
  ],
  [
    'Keep the file and the heads that you have: the log of this server was changed. Ask its operator ([audit](audit.md)).',
    ['AUDIT_ENTRY_INVALID', 'AUDIT_CHAIN_BROKEN', 'AUDIT_HEAD_OTHER'],
  ],
];

/** What to do about a code. @throws TypeError for a code that stands in no line, or in several. */
export function actionOn(code: string): string {
  const lines = errorActions.filter(([, codes]) => codes.some((each) => each === code));
  const [line] = lines;
  if (line === undefined || lines.length > 1)
    throw new TypeError(
      `${code} must stand once in scripts/error-actions.ts, and stands there ${lines.length} times`,
    );
  return line[0];
}
