import { type JsonFields, parseJsonFields } from './json-fields.ts';
import { type ComponentTcbLevels, readComponentLevels } from './tcb-info.ts';
import { componentStatuses } from './tcb-status.ts';

/** Intel's QE identity of the TD quoting enclave; version 2. */
export interface QeIdentity {
  readonly issueDateMs: number;
  readonly nextUpdateMs: number;
  readonly tcbEvaluationDataNumber: number;
  /** 4 bytes each. */
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  /** 16 bytes each. */
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  /** 32 bytes. */
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly tcbLevels: ComponentTcbLevels;
}

/**
 * Reads a QE identity after its signature was verified.
 * @throws EvidenceError QE_IDENTITY_INVALID.
 */
export function parseQeIdentity(text: string): QeIdentity {
  const identity = parseJsonFields(text, 'enclaveIdentity', 'QE_IDENTITY_INVALID');
  identity.oneOf('id', ['TD_QE']);
  identity.oneOf('version', [2]);
  return {
    issueDateMs: identity.dateMs('issueDate'),
    nextUpdateMs: identity.dateMs('nextUpdate'),
    tcbEvaluationDataNumber: identity.integer('tcbEvaluationDataNumber', 0xffff_ffff),
    miscSelect: identity.hex('miscselect', 4),
    miscSelectMask: identity.hex('miscselectMask', 4),
    attributes: identity.hex('attributes', 16),
    attributesMask: identity.hex('attributesMask', 16),
    mrSigner: identity.hex('mrsigner', 32),
    isvProdId: identity.integer('isvprodid', 0xffff),
    tcbLevels: readComponentLevels(identity, readStatus),
  };
}

/** Like Intel's verifier (IdentityTcbLevel.cpp): any other status makes the identity invalid, also in a level that is not reached. */
const readStatus = (level: JsonFields): string => level.oneOf('tcbStatus', componentStatuses);
