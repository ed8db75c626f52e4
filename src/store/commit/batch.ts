import { copyBytes } from '../../bytes/copy-bytes.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { framedLength } from '../log/frame.ts';
import { checkName, checkValue, MAX_BATCH_BYTES } from '../api/limits.ts';
import type { NamespaceState } from '../index/namespace-state.ts';
import { recordLength } from '../log/record.ts';
import { SEAL_BYTES } from '../log/record-sealer.ts';
import { addDelete, addPut, isExpected, namespaceMissing } from '../sealed-namespace.ts';
import type { BatchOperation } from '../api/store-api.ts';
import type { StoreState } from '../store-state.ts';
import type { WriteGroup } from './write-group.ts';

/**
 * Writes all operations or none: one batch lies in one frame, and a frame is whole or not there.
 * @throws EvidenceError STORE_CONFLICT, STORE_NAMESPACE_MISSING, STORE_BATCH_TOO_LARGE, or what names and values fail.
 */
export async function writeBatch(state: StoreState, operations: readonly BatchOperation[]): Promise<void> {
  let kept = operations;
  const bytes = checkBatch(state, operations);
  await state.commit.submit(
    (group) => plan(state, group, kept),
    bytes,
    () => {
      kept = operations.map(ownCopy);
    },
  );
}

const ownCopy = (operation: BatchOperation): BatchOperation =>
  operation.kind === 'delete' || operation.value === undefined
    ? { ...operation }
    : { ...operation, value: copyBytes(operation.value) };

function checkBatch(state: StoreState, operations: readonly BatchOperation[]): number {
  const { paddingBytes } = state.tuning;
  let bytes = 0;
  for (const operation of operations) {
    checkName(operation.name);
    const value = operation.kind === 'delete' ? undefined : operation.value;
    if (operation.kind === 'put') checkValue(operation.value);
    else if (value !== undefined) checkValue(value);
    const length =
      recordLength(Buffer.byteLength(operation.name), value?.length ?? 0, paddingBytes) + SEAL_BYTES;
    // Of an erasable namespace it is sealed twice, and padded twice.
    const isTwofold = state.namespaces.get(operation.namespace)?.keySlot !== undefined;
    bytes += framedLength(isTwofold ? recordLength(0, length, paddingBytes) + SEAL_BYTES : length);
  }
  if (bytes <= MAX_BATCH_BYTES) return bytes;
  throw new EvidenceError(
    'STORE_BATCH_TOO_LARGE',
    `a batch must not be over ${MAX_BATCH_BYTES} bytes sealed`,
    {
      expected: `at most ${MAX_BATCH_BYTES} bytes`,
      observed: `${bytes} bytes`,
    },
  );
}

function plan(state: StoreState, group: WriteGroup, operations: readonly BatchOperation[]): void {
  const spaces = new Map<string, NamespaceState>();
  for (const operation of operations) {
    const space = state.namespaces.get(operation.namespace);
    if (space === undefined) throw namespaceMissing(operation.namespace);
    spaces.set(operation.namespace, space);
    if (operation.kind === 'expect' && !isExpected(state.valueNow(space, operation.name), operation.value))
      throw conflict(operation);
  }
  for (const operation of operations) {
    const space = spaces.get(operation.namespace);
    if (space === undefined) continue;
    if (operation.kind === 'put') addPut(group, space, operation.name, operation.value);
    else if (operation.kind === 'delete' && state.hasNow(space, operation.name))
      addDelete(group, space, operation.name);
  }
}

const conflict = ({ namespace, name, value }: BatchOperation & { kind: 'expect' }): EvidenceError =>
  new EvidenceError('STORE_CONFLICT', `${namespace}/${name} is not as expected; nothing was written`, {
    field: `${namespace}/${name}`,
    expected: value === undefined ? 'no value' : 'the given value',
    observed: value === undefined ? 'a value' : 'another value, or none',
  });
