import { intelDate, type TcbInfo } from '../../mock-tdx/collateral/tcb-info.ts';

/**
 * TCB info of the next evaluation, in which Intel has published new microcode: a level above all others wants TDX
 * component 2 at 9, and the level that was up to date before is out of date.
 */
export function recoveryOf(info: TcbInfo, recoveryMs: number = Date.UTC(2026, 7, 12)): TcbInfo {
  const [first, ...rest] = info.tcbLevels;
  if (first === undefined) throw new RangeError('a TCB info has levels');
  const tdxtcbcomponents = first.tcb.tdxtcbcomponents.map((component, index) =>
    index === 2 ? { ...component, svn: 9 } : component,
  );
  return {
    ...info,
    tcbEvaluationDataNumber: info.tcbEvaluationDataNumber + 1,
    tcbLevels: [
      { ...first, tcb: { ...first.tcb, tdxtcbcomponents }, tcbDate: intelDate(recoveryMs) },
      { ...first, tcbStatus: 'OutOfDate' },
      ...rest,
    ],
  };
}
