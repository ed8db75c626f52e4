import { EvidenceError } from '../../errors/latchkey-error.ts';
import { checkName, checkValue, MAX_BATCH_BYTES, MAX_BATCH_OPERATIONS } from '../api/limits.ts';
import type { BatchOperation } from '../api/store-api.ts';
import type { NamespaceTable } from '../index/namespace-table.ts';
import { framedLength } from '../log/frame.ts';
import { recordLength } from '../log/record.ts';
import { SEAL_BYTES } from '../log/record-sealer.ts';
import { type Write, type WriteOutcome, type WriteStep, writeOf } from './write.ts';

/**
 * Checks a whole batch before any of it is written: one batch lies in one frame, and a frame is whole or not there.
 * @throws TypeError for a value that is not a batch; EvidenceError STORE_BATCH_TOO_LARGE, and the errors of names and values.
 */
export function batchWrite(
  operations: readonly BatchOperation[],
  namespaces: NamespaceTable,
  paddingBytes: number,
): Write {
  if (!Array.isArray(operations)) throw new TypeError(`a batch must be an array, got ${typeof operations}`);
  if (operations.length > MAX_BATCH_OPERATIONS)
    throw tooLarge(`${MAX_BATCH_OPERATIONS} operations`, `${operations.length} operations`);
  const steps = operations.map(stepOf);
  const bytes = steps.reduce((sum, step) => sum + sealedBytes(step, namespaces, paddingBytes), 0);
  if (bytes > MAX_BATCH_BYTES) throw tooLarge(`${MAX_BATCH_BYTES} bytes sealed`, `${bytes} bytes`);
  return writeOf(steps, { bytes });
}

/** @throws EvidenceError STORE_CONFLICT when a condition of the batch did not hold. */
export function requireNoConflict({ conflict }: WriteOutcome): void {
  if (conflict === undefined) return;
  const { space, name, value } = conflict;
  const field = `${typeof space === 'string' ? space : space.name}/${name}`;
  throw new EvidenceError('STORE_CONFLICT', `${field} is not as expected; nothing was written`, {
    field,
    expected: value === undefined ? 'no value' : 'the given value',
    observed: value === undefined ? 'a value' : 'another value, or none',
  });
}

function stepOf(operation: BatchOperation): WriteStep {
  const { kind, namespace: space, name } = operation;
  checkName(space);
  checkName(name);
  switch (kind) {
    case 'put': {
      const { value } = operation;
      checkValue(value);
      return { kind, space, name, value };
    }
    case 'expect': {
      const { value } = operation;
      if (value !== undefined) checkValue(value);
      return { kind, space, name, value };
    }
    case 'delete':
      return { kind, space, name };
    default:
      // A caller in JavaScript may pass any kind.
      throw new TypeError(`the kind of an operation must be put, delete or expect, got ${String(kind)}`);
  }
}

function sealedBytes(step: WriteStep, namespaces: NamespaceTable, paddingBytes: number): number {
  const valueBytes = step.kind === 'delete' ? 0 : (step.value?.length ?? 0);
  const length = recordLength(Buffer.byteLength(step.name), valueBytes, paddingBytes) + SEAL_BYTES;
  const space = typeof step.space === 'string' ? namespaces.get(step.space) : step.space;
  // A record of an erasable namespace is sealed twice, and padded twice.
  const isTwofold = space?.keyPlace !== undefined;
  return framedLength(isTwofold ? recordLength(0, length, paddingBytes) + SEAL_BYTES : length);
}

const tooLarge = (expected: string, observed: string): EvidenceError =>
  new EvidenceError('STORE_BATCH_TOO_LARGE', `a batch must not be over ${expected}`, {
    expected: `at most ${expected}`,
    observed,
  });
