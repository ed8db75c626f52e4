import { copyBytes } from '../../bytes/copy-bytes.ts';
import { equalConstantTime } from '../../crypto/constant-time.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { NamespaceState } from '../index/namespace-state.ts';
import type { NamespaceTable } from '../index/namespace-table.ts';

/** A namespace, or the name of one that is looked up when the write is admitted. */
type SpaceReference = NamespaceState | string;

/** One step of a write; names and values are checked. */
export type WriteStep =
  | {
      readonly kind: 'put';
      readonly space: SpaceReference;
      readonly name: string;
      readonly value: Uint8Array;
    }
  | { readonly kind: 'delete'; readonly space: SpaceReference; readonly name: string }
  | {
      /** The whole write is refused unless the present value equals this one (`undefined`: absent). */
      readonly kind: 'expect';
      readonly space: SpaceReference;
      readonly name: string;
      readonly value: Uint8Array | undefined;
    };

/** A write as the API hands it to the group commit: all of its steps become durable together, or none. */
export interface Write {
  readonly steps: readonly WriteStep[];
  /** What it is counted with while it waits for the disk. */
  readonly bytes: number;
  /** Whether the caller wants the value that the first step replaces. */
  readonly wantsBefore?: boolean;
}

/** The result of a write: it is durable, or a condition refused it and nothing was written. */
export interface WriteOutcome {
  /** The condition that did not hold. */
  readonly conflict: (WriteStep & { readonly kind: 'expect' }) | undefined;
  /** The value that the first step replaced, where the write asked for it. */
  readonly before: Uint8Array | undefined;
}

/** Bytes that a step is counted with in addition to its value. */
const STEP_OVERHEAD_BYTES = 256;

/** A write of these steps. `bytes` is counted from the values unless it is given. */
export function writeOf(
  steps: readonly WriteStep[],
  more: Partial<Pick<Write, 'bytes' | 'wantsBefore'>> = {},
) {
  const bytes = steps.reduce((sum, step) => sum + STEP_OVERHEAD_BYTES + (bytesOfStep(step)?.length ?? 0), 0);
  return { steps, bytes, ...more } satisfies Write;
}

/** The same write with copies of its values: a waiting write must not see later changes by the caller. */
export const ownedWrite = (write: Write): Write => ({ ...write, steps: write.steps.map(ownedStep) });

function ownedStep(step: WriteStep): WriteStep {
  if (step.kind === 'delete' || step.value === undefined) return step;
  return { ...step, value: copyBytes(step.value) };
}

const bytesOfStep = (step: WriteStep): Uint8Array | undefined =>
  step.kind === 'delete' ? undefined : step.value;

/** True when a value is the expected one; `undefined` stands for none. */
export function isExpected(present: Uint8Array | undefined, expected: Uint8Array | undefined): boolean {
  return present === undefined || expected === undefined
    ? present === expected
    : equalConstantTime(present, expected);
}

/** @throws EvidenceError STORE_NAMESPACE_MISSING when there is none of this name, or it was erased. */
export function resolveSpace(namespaces: NamespaceTable, space: SpaceReference): NamespaceState {
  const found = typeof space === 'string' ? namespaces.get(space) : space;
  if (found !== undefined && !found.erased) return found;
  throw namespaceMissing(typeof space === 'string' ? space : space.name);
}

/** The error when no namespace has this name, or when it was erased. */
export const namespaceMissing = (name: string): EvidenceError =>
  new EvidenceError('STORE_NAMESPACE_MISSING', `there is no namespace ${name}`, { field: 'namespace' });
