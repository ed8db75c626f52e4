import { versionAnswer } from '../entropy/entropy-server.ts';
import { envelopeWire } from '../entropy/envelope.ts';
import { infoAnswer } from '../entropy/own-quotes.ts';
import { recoverBody, responseKeyBody } from '../entropy/recover-request.ts';
import { quotedCodes, type RouteDescription } from './route-description.ts';

/** The routes of entropy-tss, which are there only with `entropyRoutes: true`. */
export const entropyDescriptions: readonly RouteDescription[] = [
  {
    method: 'post',
    path: '/v1/backup_encryption_key',
    summary: 'Keeps the key of the disk of a registered node; 200 without a body once it is durable',
    body: envelopeWire,
    codes: [
      ...(['ENVELOPE_INVALID', 'BACKUP_KEY_LENGTH', 'ENVELOPE_SIGNATURE_WRONG'] as const),
      ...(['BACKUP_UNREGISTERED', 'BACKUP_PLATFORM_UNKNOWN', 'BACKUP_CONFLICT', 'VAULT_FULL'] as const),
      ...(['SERVER_DRAINING', 'CHAIN_UNAVAILABLE', 'NODE_LOCKED', 'NODE_UNCLAIMED', 'NODE_FENCED'] as const),
    ],
  },
  {
    method: 'post',
    path: '/v1/backup_provider_quote_nonce',
    summary: 'A nonce for a recovery quote, sealed to the X25519 key that the body is; good for 16 minutes',
    body: responseKeyBody,
    answer: envelopeWire,
    codes: ['HPKE_PUBLIC_KEY_INVALID', 'NODE_LOCKED'],
  },
  {
    method: 'post',
    path: '/v1/recover_encryption_key',
    summary: 'The key of the disk of a node, sealed to the key that its TDX quote binds',
    body: recoverBody,
    answer: envelopeWire,
    codes: [
      ...(['QUOTE_NONCE_INVALID', 'QUOTE_NONCE_EXPIRED', 'REPORT_DATA_MISMATCH'] as const),
      ...quotedCodes,
    ],
  },
  {
    method: 'get',
    path: '/v1/attest',
    summary: 'The bytes of a quote of this machine, for a registration on the chain',
    query: [
      { name: 'context', description: 'validate, change_endpoint or change_threshold_accounts' },
      { name: 'nonce', description: '32 bytes that the chain gave, 0x and hex digits' },
    ],
    bytes: 'application/octet-stream',
    codes: ['FIELD_INVALID', 'NODE_LOCKED', 'QUOTE_SOURCE_UNAVAILABLE', 'QUOTE_SOURCE_FAILED'],
  },
  {
    method: 'get',
    path: '/v1/info',
    summary: 'Account, X25519 key and a quote of this machine',
    answer: infoAnswer,
    codes: ['NODE_LOCKED', 'QUOTE_SOURCE_UNAVAILABLE', 'QUOTE_SOURCE_FAILED'],
  },
  {
    method: 'get',
    path: '/v1/version',
    summary: 'Version and measurement of this machine',
    answer: versionAnswer,
    codes: ['NODE_LOCKED'],
  },
];
