import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { permissionFindings } from '../../../../src/cli/doctor/permissions.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let server: Server;
let data: string;
let socketPath: string;
beforeEach(async () => {
  folder = await tempFolder();
  data = join(folder.path, 'data');
  socketPath = join(data, 'agent.sock');
  mkdirSync(join(data, 'node', 'store'), { recursive: true });
  for (const name of ['', 'node', 'node/store']) chmodSync(join(data, name), 0o700);
  writeFileSync(join(data, 'node', 'keyslots'), '', { mode: 0o600 });
  server = createServer();
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  chmodSync(socketPath, 0o600);
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  await folder[Symbol.asyncDispose]();
});

const wrongTexts = async (socket = socketPath) =>
  (await permissionFindings(data, socket)).flatMap(({ level, text, advice }) =>
    level === 'wrong' && advice !== undefined ? [text] : [],
  );

describe('permissions', () => {
  it('of a well-kept folder are good', async () => {
    expect(await permissionFindings(data, socketPath)).toMatchObject([{ level: 'good' }]);
  });

  it('of a well-kept folder behind a link are good, as on a disk of its own', async () => {
    const link = join(folder.path, 'link');
    symlinkSync(data, link);
    if (process.getuid?.() === 0)
      for (const name of ['', 'node', 'node/store', 'node/keyslots']) chownSync(join(data, name), 1234, 1234);
    expect(await permissionFindings(link, join(link, 'agent.sock'))).toMatchObject([{ level: 'good' }]);
    chmodSync(data, 0o722);
    const found = await permissionFindings(link, join(link, 'agent.sock'));
    expect(found.map(({ text }) => text)).toEqual([
      expect.stringContaining('other users can replace files in it'),
      expect.stringContaining('socket of their own'),
    ]);
  });

  it('of a folder that is not there yet are good', async () => {
    const found = await permissionFindings(join(folder.path, 'no'), join(folder.path, 'no', 'agent.sock'));
    expect(found).toMatchObject([{ level: 'good', text: expect.stringContaining('not there yet') }]);
  });

  it.each(['', 'node', 'node/keyslots', 'node/store'])(
    'of data/%s that others may write are wrong',
    async (name) => {
      chmodSync(join(data, name), 0o722);
      expect((await wrongTexts()).some((text) => text.startsWith(`${join(data, name)} has mode 0722`))).toBe(
        true,
      );
    },
  );

  it.skipIf(process.getuid?.() !== 0)('are wrong where a file belongs to another user', async () => {
    chownSync(data, 1234, 1234);
    chownSync(join(data, 'node', 'keyslots'), 4321, 1234);
    expect(await wrongTexts()).toEqual([expect.stringContaining('belongs to user 4321')]);
  });

  it('of the socket that others may use are wrong', async () => {
    chmodSync(socketPath, 0o660);
    expect(await wrongTexts()).toEqual([expect.stringContaining('read and write the store')]);
  });

  it('of a folder in which others can put a socket of their own are wrong, unless it is sticky', async () => {
    const open = join(folder.path, 'run');
    mkdirSync(open);
    chmodSync(open, 0o777);
    expect(await wrongTexts(join(open, 'agent.sock'))).toEqual([
      expect.stringContaining('socket of their own'),
    ]);
    chmodSync(open, 0o1777);
    expect(await wrongTexts(join(open, 'agent.sock'))).toEqual([]);
  });
});
