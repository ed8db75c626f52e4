import type { TcbInfo } from '../collateral/tcb-info.ts';

/** 16 SVNs that begin with these; the others are zero. */
export const svns = (...first: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, index) => first[index] ?? 0);

/** The level that a good platform reaches says something else. */
export const withFirstStatus =
  (tcbStatus: string) =>
  (content: TcbInfo): object => ({
    ...content,
    tcbLevels: content.tcbLevels.map((level, index) => (index === 0 ? { ...level, tcbStatus } : level)),
  });

/** Advisories of the development TCB info: of module SVN 4, and of microcode 7. */
export const moduleAdvisory: readonly string[] = ['INTEL-SA-01192'];
export const microcodeAdvisories: readonly string[] = ['INTEL-SA-01103', 'INTEL-SA-01111'];
