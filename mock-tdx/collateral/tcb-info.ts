import { DEVELOPMENT_PCE_SVN, developmentComponentSvns } from '../pki/platform.ts';

/** One platform level of a TCB info. */
export interface TcbLevel {
  readonly tcb: {
    readonly sgxtcbcomponents: readonly TcbComponent[];
    readonly pcesvn: number;
    readonly tdxtcbcomponents: readonly TcbComponent[];
  };
  readonly tcbDate: string;
  readonly tcbStatus: string;
  readonly advisoryIDs?: readonly string[];
}

/** One SVN; category and type are for people. */
export interface TcbComponent {
  readonly svn: number;
  readonly category?: string;
  readonly type?: string;
}

/** One level of a TDX module or of the quoting enclave. */
export interface EnclaveLevel {
  readonly tcb: { readonly isvsvn: number };
  readonly tcbDate: string;
  readonly tcbStatus: string;
  readonly advisoryIDs?: readonly string[];
}

/** Identity of one major version of the TDX module. */
export interface ModuleIdentity {
  readonly id: string;
  readonly mrsigner: string;
  readonly attributes: string;
  readonly attributesMask: string;
  readonly tcbLevels: readonly EnclaveLevel[];
}

/** TCB info, version 3, as Intel's PCS serves it; the fields stand in the order in which Intel writes them. */
export interface TcbInfo {
  readonly id: string;
  readonly version: number;
  readonly issueDate: string;
  readonly nextUpdate: string;
  readonly fmspc: string;
  readonly pceId: string;
  readonly tcbType: number;
  readonly tcbEvaluationDataNumber: number;
  readonly tdxModule: Omit<ModuleIdentity, 'id' | 'tcbLevels'>;
  readonly tdxModuleIdentities: readonly ModuleIdentity[];
  readonly tcbLevels: readonly TcbLevel[];
}

/** When and for what a document is issued. */
export interface DocumentFrame {
  readonly issuedMs: number;
  readonly nextUpdateMs: number;
  readonly tcbEvaluationDataNumber: number;
}

/** Seconds and `Z`, as Intel writes dates. */
export const intelDate = (milliseconds: number): string =>
  `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;

const intelModule = {
  mrsigner: '0'.repeat(96),
  attributes: '0'.repeat(16),
  attributesMask: 'F'.repeat(16),
} as const;

const enclaveLevel = (isvsvn: number, date: string, tcbStatus: string, ids?: readonly string[]) => ({
  tcb: { isvsvn },
  tcbDate: `${date}T00:00:00Z`,
  tcbStatus,
  ...(ids === undefined ? {} : { advisoryIDs: ids }),
});

/** TCB info in which an up-to-date development platform is UpToDate and older ones fall to the levels below. */
export function tcbInfo(fmspc: string, pceId: string, frame: DocumentFrame): TcbInfo {
  return {
    id: 'TDX',
    version: 3,
    issueDate: intelDate(frame.issuedMs),
    nextUpdate: intelDate(frame.nextUpdateMs),
    fmspc,
    pceId,
    tcbType: 0,
    tcbEvaluationDataNumber: frame.tcbEvaluationDataNumber,
    tdxModule: intelModule,
    tdxModuleIdentities: [
      { id: 'TDX_03', ...intelModule, tcbLevels: [enclaveLevel(3, '2025-05-14', 'UpToDate')] },
      {
        id: 'TDX_01',
        ...intelModule,
        tcbLevels: [
          enclaveLevel(5, '2025-05-14', 'UpToDate'),
          enclaveLevel(4, '2024-03-13', 'OutOfDate', ['INTEL-SA-01192']),
          enclaveLevel(2, '2023-08-09', 'Revoked', ['INTEL-SA-01036']),
        ],
      },
    ],
    tcbLevels: platformLevels(),
  };
}

/** From the newest to the oldest; each says what a platform lacks that only reaches it. */
function platformLevels(): TcbLevel[] {
  const sgx = developmentComponentSvns;
  const older = sgx.map((svn, index) => (index < 2 ? svn - 1 : svn));
  const oldest = sgx.map((svn, index) => (index < 2 ? svn - 2 : svn));
  const microcode = ['INTEL-SA-01103', 'INTEL-SA-01111'];
  const early = [...microcode, 'INTEL-SA-00837'];
  const pce = DEVELOPMENT_PCE_SVN;
  return [
    platformLevel(sgx, pce, [5, 0, 8], '2025-05-14', 'UpToDate'),
    platformLevel(sgx, pce, [5, 0, 7], '2024-11-13', 'OutOfDate', microcode),
    platformLevel(older, pce, [5, 0, 8], '2024-11-13', 'SWHardeningNeeded', ['INTEL-SA-00615']),
    platformLevel(older, pce, [5, 0, 7], '2024-03-13', 'OutOfDate', microcode),
    platformLevel(oldest, pce, [5, 0, 7], '2023-08-09', 'OutOfDateConfigurationNeeded', early),
    platformLevel(oldest, 5, [3, 0, 5], '2018-01-04', 'Revoked', [...early, 'INTEL-SA-00106']),
  ];
}

function platformLevel(
  sgxSvns: readonly number[],
  pcesvn: number,
  firstTdxSvns: readonly number[],
  date: string,
  tcbStatus: string,
  advisoryIDs?: readonly string[],
): TcbLevel {
  const tdxSvns = Array.from({ length: 16 }, (_, index) => firstTdxSvns[index] ?? 0);
  return {
    tcb: {
      sgxtcbcomponents: describe(sgxSvns, sgxLabels),
      pcesvn,
      tdxtcbcomponents: describe(tdxSvns, tdxLabels),
    },
    tcbDate: `${date}T00:00:00Z`,
    tcbStatus,
    ...(advisoryIDs === undefined ? {} : { advisoryIDs }),
  };
}

type Labels = Readonly<Record<number, Omit<TcbComponent, 'svn'>>>;
const sgxLabels: Labels = {
  0: { category: 'BIOS', type: 'Early Microcode Update' },
  1: { category: 'OS/VMM', type: 'SGX Late Microcode Update' },
  2: { category: 'OS/VMM', type: 'TXT SINIT' },
  3: { category: 'BIOS' },
  4: { category: 'BIOS' },
  5: { category: 'BIOS' },
  7: { category: 'OS/VMM', type: 'SEAMLDR ACM' },
};
const tdxLabels: Labels = {
  0: { category: 'OS/VMM', type: 'TDX Module' },
  1: { category: 'OS/VMM', type: 'TDX Module' },
  2: { category: 'OS/VMM', type: 'TDX Late Microcode Update' },
};

const describe = (svns: readonly number[], labels: Labels): TcbComponent[] =>
  svns.map((svn, index) => ({ svn, ...labels[index] }));
