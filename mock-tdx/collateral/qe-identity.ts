import { type DocumentFrame, type EnclaveLevel, intelDate } from './tcb-info.ts';

/** Identity of the TD quoting enclave, as Intel's PCS serves it. */
export interface QeIdentity {
  readonly id: string;
  readonly version: number;
  readonly issueDate: string;
  readonly nextUpdate: string;
  readonly tcbEvaluationDataNumber: number;
  readonly miscselect: string;
  readonly miscselectMask: string;
  readonly attributes: string;
  readonly attributesMask: string;
  readonly mrsigner: string;
  readonly isvprodid: number;
  readonly tcbLevels: readonly EnclaveLevel[];
}

/** Intel's identity of its own TD quoting enclave, under the given dates. */
export function qeIdentity(frame: DocumentFrame): QeIdentity {
  return {
    id: 'TD_QE',
    version: 2,
    issueDate: intelDate(frame.issuedMs),
    nextUpdate: intelDate(frame.nextUpdateMs),
    tcbEvaluationDataNumber: frame.tcbEvaluationDataNumber,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: 'DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5',
    isvprodid: 2,
    tcbLevels: [
      { tcb: { isvsvn: 6 }, tcbDate: '2025-05-14T00:00:00Z', tcbStatus: 'UpToDate' },
      {
        tcb: { isvsvn: 4 },
        tcbDate: '2024-03-13T00:00:00Z',
        tcbStatus: 'OutOfDate',
        advisoryIDs: ['INTEL-SA-01245'],
      },
      { tcb: { isvsvn: 2 }, tcbDate: '2023-02-15T00:00:00Z', tcbStatus: 'Revoked' },
    ],
  };
}
