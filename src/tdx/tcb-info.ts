import { compareBytes } from '../bytes/concat.ts';
import { type JsonFields, parseJsonFields } from './json-fields.ts';
import {
  type ComponentStatus,
  componentStatuses,
  type PlatformStatus,
  platformStatuses,
} from './tcb-status.ts';

/** Intel's verdict on one level of a platform's TCB. */
export interface PlatformTcbLevel {
  /** 16 SVNs that the PCK certificate's components must reach. */
  readonly sgxComponents: Uint8Array;
  readonly pceSvn: number;
  /** 16 SVNs that the TD report's `teeTcbSvn` must reach. */
  readonly tdxComponents: Uint8Array;
  /** Intel's names of the 16 + 16 components, where given. */
  readonly sgxNames: readonly string[];
  readonly tdxNames: readonly string[];
  readonly status: PlatformStatus;
  /** The platform has the fixes of all advisories published until then. */
  readonly tcbDateMs: number;
  readonly advisoryIds: readonly string[];
}

/** Intel's verdict on one level of a TDX module or quoting enclave. */
export interface ComponentTcbLevel {
  readonly isvSvn: number;
  /** `undefined` for a status that is not known here: such a level must not be reached. */
  readonly status: ComponentStatus | undefined;
  /** The status as Intel wrote it. */
  readonly statusName: string;
  readonly tcbDateMs: number;
  readonly advisoryIds: readonly string[];
}

/** Highest SVN first; never empty. */
export type ComponentTcbLevels = readonly [ComponentTcbLevel, ...ComponentTcbLevel[]];

/** The signer and the attributes of a TDX module. */
export interface TdxModule {
  /** 48 bytes. */
  readonly mrSigner: Uint8Array;
  /** 8 bytes. */
  readonly attributes: Uint8Array;
}

/** A TDX module version, such as TDX_01 for 1.x modules. */
export interface TdxModuleIdentity extends TdxModule {
  /** Upper-case. */
  readonly id: string;
  readonly tcbLevels: ComponentTcbLevels;
}

/** TCB info of one FMSPC, version 3, for TDX. */
export interface TcbInfo {
  readonly issueDateMs: number;
  readonly nextUpdateMs: number;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  readonly tcbEvaluationDataNumber: number;
  readonly tdxModule: TdxModule;
  /** By id, such as TDX_01 for modules of version 1. */
  readonly tdxModuleIdentities: ReadonlyMap<string, TdxModuleIdentity>;
  /** Highest level first; never empty. */
  readonly tcbLevels: readonly [PlatformTcbLevel, ...PlatformTcbLevel[]];
}

const COMPONENTS = 16;
const CODE = 'TCB_INFO_INVALID';

/**
 * Reads TCB info after its signature was verified. A level that does not apply must be well-formed too.
 * @throws EvidenceError TCB_INFO_INVALID.
 */
export function parseTcbInfo(text: string): TcbInfo {
  const info = parseJsonFields(text, 'tcbInfo', CODE);
  info.oneOf('id', ['TDX']);
  info.oneOf('version', [3]);
  info.oneOf('tcbType', [0]);
  return {
    issueDateMs: info.dateMs('issueDate'),
    nextUpdateMs: info.dateMs('nextUpdate'),
    fmspc: info.hex('fmspc', 6),
    pceId: info.hex('pceId', 2),
    tcbEvaluationDataNumber: info.integer('tcbEvaluationDataNumber', 0xffff_ffff),
    tdxModule: readTdxModule(info.object('tdxModule')),
    tdxModuleIdentities: readModuleIdentities(info),
    tcbLevels: readPlatformLevels(info),
  };
}

function readTdxModule(fields: JsonFields): TdxModule {
  const attributes = fields.hex('attributes', 8);
  // The mask must be there and well-formed; Intel's verifier compares the attributes without it.
  fields.hex('attributesMask', 8);
  return { mrSigner: fields.hex('mrsigner', 48), attributes };
}

function readModuleIdentities(info: JsonFields): ReadonlyMap<string, TdxModuleIdentity> {
  const identities = new Map<string, TdxModuleIdentity>();
  if (!info.has('tdxModuleIdentities')) return identities;
  for (const fields of info.objects('tdxModuleIdentities', (identity) => identity)) {
    const id = fields.string('id').toUpperCase();
    if (identities.has(id)) fields.fail('id', 'each identity once', id);
    // Like Intel's verifier (EvaluateTcb.cpp): an unknown status refuses only those modules that reach its level.
    const tcbLevels = readComponentLevels(fields, (level) => level.string('tcbStatus'));
    identities.set(id, { id, ...readTdxModule(fields), tcbLevels });
  }
  return identities;
}

/**
 * Levels of a TDX module or quoting enclave.
 * @param readStatus reads `tcbStatus`, and refuses a status that the document may not have.
 */
export const readComponentLevels = (
  fields: JsonFields,
  readStatus: (level: JsonFields) => string,
): ComponentTcbLevels =>
  distinctLevels(
    fields,
    fields.objects('tcbLevels', (level) => {
      const statusName = readStatus(level);
      return {
        isvSvn: level.object('tcb').integer('isvsvn', 0xffff),
        status: componentStatuses.find((known) => known === statusName),
        statusName,
        tcbDateMs: level.dateMs('tcbDate'),
        advisoryIds: level.optionalStrings('advisoryIDs'),
      };
    }),
    (a, b) => b.isvSvn - a.isvSvn,
  );

const readPlatformLevels = (info: JsonFields): TcbInfo['tcbLevels'] =>
  distinctLevels(info, info.objects('tcbLevels', readPlatformLevel), higherFirst);

/** Sorts the levels, since their order in the JSON is not trusted, and refuses the same level twice. */
function distinctLevels<Level>(
  fields: JsonFields,
  levels: [Level, ...Level[]],
  order: (a: Level, b: Level) => number,
): readonly [Level, ...Level[]] {
  levels.sort(order);
  levels.reduce((previous, level) =>
    order(previous, level) === 0
      ? fields.fail('tcbLevels', 'levels that differ', 'the same one twice')
      : level,
  );
  return levels;
}

function readPlatformLevel(level: JsonFields): PlatformTcbLevel {
  const tcb = level.object('tcb');
  const sgx = readComponents(tcb, 'sgxtcbcomponents');
  const tdx = readComponents(tcb, 'tdxtcbcomponents');
  return {
    sgxComponents: sgx.svns,
    sgxNames: sgx.names,
    pceSvn: tcb.integer('pcesvn', 0xffff),
    tdxComponents: tdx.svns,
    tdxNames: tdx.names,
    status: level.oneOf('tcbStatus', platformStatuses),
    tcbDateMs: level.dateMs('tcbDate'),
    advisoryIds: level.optionalStrings('advisoryIDs'),
  };
}

function readComponents(tcb: JsonFields, name: string): { svns: Uint8Array; names: readonly string[] } {
  const components = tcb.objects(name, (component) => ({
    svn: component.integer('svn', 255),
    name: component.optionalString('type'),
  }));
  if (components.length !== COMPONENTS) tcb.fail(name, `${COMPONENTS} components`, components.length);
  return {
    svns: Uint8Array.from(components, ({ svn }) => svn),
    names: components.map((component) => component.name),
  };
}

/** Intel's order: by SGX components, then PCE SVN, then TDX components, each descending. */
function higherFirst(a: PlatformTcbLevel, b: PlatformTcbLevel): number {
  return (
    compareBytes(b.sgxComponents, a.sgxComponents) ||
    b.pceSvn - a.pceSvn ||
    compareBytes(b.tdxComponents, a.tdxComponents)
  );
}
