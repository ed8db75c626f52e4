import { byteAt } from '../bytes/byte-at.ts';
import type { SgxExtension } from './sgx-extension.ts';
import type { PlatformTcbLevel } from './tcb-info.ts';

/** One part of a platform that is below a TCB level. */
export interface TcbShortfall {
  /** Such as "SGX component 2 (OS/VMM)", "PCE", "TDX component 3", "TDX module", "quoting enclave". */
  readonly part: string;
  readonly required: number;
  readonly observed: number;
  /** `required - observed`, at least 1. */
  readonly shortBy: number;
  /** The level that is missed. */
  readonly level: { readonly status: string; readonly tcbDateMs: number };
}

/** The SVNs of a platform: those of the PCK certificate and of the TD report. */
export interface PlatformTcb {
  readonly sgx: Pick<SgxExtension, 'tcbComponents' | 'pceSvn'>;
  /** 16 bytes. */
  readonly teeTcbSvn: Uint8Array;
  /** TDX components below this index are judged by the TDX module's own levels. */
  readonly firstTdxComponent: number;
}

/** Whether every SGX component and the PCE reach the level; Intel's rule compares the components, not CPUSVN. */
export const reachesSgx = ({ sgx }: PlatformTcb, level: PlatformTcbLevel): boolean =>
  sgx.pceSvn >= level.pceSvn && isAtLeast(sgx.tcbComponents, level.sgxComponents, 0);

/** Whether every TDX component reaches the level. */
export const reachesTdx = ({ teeTcbSvn, firstTdxComponent }: PlatformTcb, level: PlatformTcbLevel): boolean =>
  isAtLeast(teeTcbSvn, level.tdxComponents, firstTdxComponent);

function isAtLeast(observed: Uint8Array, required: Uint8Array, from: number): boolean {
  for (let index = from; index < required.length; index++) {
    if (byteAt(observed, index) < byteAt(required, index)) return false;
  }
  return true;
}

/** All parts of a platform that are below a level. */
export function platformShortfalls(platform: PlatformTcb, level: PlatformTcbLevel): readonly TcbShortfall[] {
  const { sgx, teeTcbSvn, firstTdxComponent } = platform;
  const shortfalls: (TcbShortfall | undefined)[] = [];
  for (const [index, required] of level.sgxComponents.entries()) {
    const part = named('SGX component', index, level.sgxNames);
    shortfalls.push(shortfall(part, required, byteAt(sgx.tcbComponents, index), level));
  }
  shortfalls.push(shortfall('PCE', level.pceSvn, sgx.pceSvn, level));
  for (const [index, required] of level.tdxComponents.entries()) {
    if (index < firstTdxComponent) continue;
    const part = named('TDX component', index, level.tdxNames);
    shortfalls.push(shortfall(part, required, byteAt(teeTcbSvn, index), level));
  }
  return shortfalls.filter((entry) => entry !== undefined);
}

/** Intel counts components from 1 (OIDs .2.1 to .2.16 of the PCK certificate). */
const named = (kind: string, index: number, names: readonly string[]): string => {
  const name = names[index];
  return name ? `${kind} ${index + 1} (${name})` : `${kind} ${index + 1}`;
};

/** `undefined` when the requirement is met. */
export function shortfall(
  part: string,
  required: number,
  observed: number,
  { status, tcbDateMs }: TcbShortfall['level'],
): TcbShortfall | undefined {
  if (observed >= required) return undefined;
  return { part, required, observed, shortBy: required - observed, level: { status, tcbDateMs } };
}

/** For messages: each part, how far it is below which level. */
export const describeShortfalls = (shortfalls: readonly TcbShortfall[]): string =>
  shortfalls
    .map(({ part, required, observed, shortBy, level }) => {
      const date = new Date(level.tcbDateMs).toISOString().slice(0, 10);
      return `${part} is ${observed}, ${shortBy} below the ${required} of level ${date} (${level.status})`;
    })
    .join('; ');
