import { utf8 } from '../bytes/concat.ts';

/** Version of the wire protocol; part of every label. */
export const PROTOCOL_VERSION = 1;

/** Start of the report data of a key request. */
export const REQUEST_LABEL: Uint8Array = utf8('latchkey/v1/request');
/** Start of the report data of a server's own attestation. */
export const ATTESTATION_LABEL: Uint8Array = utf8('latchkey/v1/attestation');
/** Start of the HPKE `info` of a sealed key. */
export const KEY_LABEL: Uint8Array = utf8('latchkey/v1/key');

/** Start of the statement that a client signs for a restarted server: "I hold no slot of yours". */
export const NOT_ENROLLED_LABEL: Uint8Array = utf8('latchkey/v1/not-enrolled');
/** Start of the same statement for a draining server. */
export const NOT_ENROLLED_DRAINING_LABEL: Uint8Array = utf8('latchkey/v1/not-enrolled/draining');

/** Routes that the server key of a slot authenticates instead of a quote. */
export type SlotRoute = 'key-status' | 'reserve' | 'claim' | 'forget';
/** Routes that the lineage key authenticates. */
export type LineageRoute = 'lineage-status' | 'lineage-update';
export type MacRoute = SlotRoute | LineageRoute;

/** HKDF label of a MAC key, per route and direction. */
export const macLabel = (route: MacRoute, direction: 'request' | 'response'): string =>
  `latchkey/v1/${route}/${direction}`;
