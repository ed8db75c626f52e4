import { expect, it } from 'vitest';
import type { NodeAudit } from '../../../src/node/node-audit.ts';
import { releaseRecorder } from '../../../src/node/serving.ts';

// The recorder only hands the log on.
const log = {} as NodeAudit;

it('a release is written to the log, and a log that refuses it keeps the key here', async () => {
  const written: NodeAudit[] = [];
  await releaseRecorder(log, true)(async (audit) => void written.push(audit));
  expect(written).toEqual([log]);
  const refuse = async () => Promise.reject(new Error('not durable'));
  await expect(releaseRecorder(log, false)(refuse)).rejects.toThrow('not durable');
});

it('without a log no key leaves where its entry is required, and every key does where it is not', async () => {
  const never = async () => Promise.reject(new Error('there is no log to write to'));
  await expect(releaseRecorder(undefined, true)(never)).rejects.toMatchObject({ code: 'AUDIT_REQUIRED' });
  await releaseRecorder(undefined, false)(never);
});
