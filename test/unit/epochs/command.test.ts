import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { epochsCommand } from '../../../src/cli/commands/epochs.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { createPasswordStore } from '../../../src/store/password-store.ts';
import { bytesOf, keyOf, secretOf, stateOf } from '../../support/dkg-members.ts';

let folder = '';
const place = () => ['--path', join(folder, 'store'), '--password-file', join(folder, 'password')];

/** Runs `latchkey epochs …` in this process. @returns what it printed. */
async function run(...args: readonly string[]): Promise<string> {
  let printed = '';
  const stdout = new Writable({
    write(chunk, _, done) {
      printed += String(chunk);
      done();
    },
  });
  const terminal = { stdin: false, stdout: false, stderr: false };
  const command = epochsCommand({
    stdin: process.stdin,
    stdout,
    stderr: stdout,
    terminal,
    exit: () => undefined,
  });
  await command.parseAsync(['node', 'epochs', ...args]);
  return printed;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-epochs-command-'));
  await writeFile(join(folder, 'password'), 'correct horse battery staple\n');
  const password = new SecretBytes(new TextEncoder().encode('correct horse battery staple'));
  const store = await createPasswordStore({
    path: join(folder, 'store'),
    password,
    fileSystem: nodeFileSystem,
  });
  const journal = await EpochJournal.open(store);
  for (const epoch of [0, 1, 2]) {
    const share = { index: 1, scalar: secretOf('share') };
    await journal.commitEpoch(epoch, stateOf(`seed ${epoch}`, { round: epoch, share }));
    await journal.appendAck(epoch, keyOf('player'), bytesOf('ack'));
  }
  await store.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('latchkey epochs', () => {
  it('list prints counts and no secret', async () => {
    const listed: unknown = JSON.parse(await run('list', ...place(), '--json'));
    expect(listed).toMatchObject({ journal: 'dkg', current: 2, prunedBelow: 0 });
    expect(listed).toHaveProperty('epochs.2', {
      ...{ epoch: 2, current: true, committed: true, dealings: 0, acks: 1, logs: 0, evidence: 0 },
      ...{ share: true, seed: true },
    });
    const text = await run('list', ...place());
    expect(text).toContain('epoch      2  dealings 0  acks 1');
    expect(text).not.toContain(Buffer.from(bytesOf('share')).toString('hex'));
  });

  it('show names the participants', async () => {
    const shown = await run('show', '1', ...place(), '--json');
    expect(JSON.parse(shown)).toEqual({
      ...{ epoch: 1, dealings: [], logs: [], evidence: [] },
      acks: [`0x${Buffer.from(keyOf('player')).toString('hex')}`],
    });
  });

  it('prune asks first, then erases, and refuses the current epoch', async () => {
    expect(await run('prune', '--below', '1', ...place())).toContain('would erase epochs 0');
    expect(await run('prune', '--below', '1', '--yes', ...place())).toBe('erased epochs 0\n');
    expect(JSON.parse(await run('list', ...place(), '--json'))).toMatchObject({ prunedBelow: 1 });
    await expect(run('prune', '--below', '9', '--yes', ...place())).rejects.toMatchObject({
      code: 'EPOCH_IS_CURRENT',
    });
    await expect(run('prune', '--below', '-1', ...place())).rejects.toMatchObject({ code: 'FIELD_INVALID' });
  });

  it('a read command does not create a missing journal', async () => {
    for (const name of ['other', '../dkg', 'x'.repeat(65)]) {
      await expect(run('list', '--journal', name, ...place())).rejects.toMatchObject({
        code: 'EPOCH_JOURNAL_NOT_FOUND',
      });
    }
  });
});
