import { lstatSync } from 'node:fs';
import { Server } from 'node:net';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { listen } from '../../../src/http/listener.ts';
import { tempFolder } from '../../support/temp-folder.ts';

it('the socket of the agent is never there with rights for others', async () => {
  await using folder = await tempFolder();
  const socketPath = join(folder.path, 'agent.sock');
  const rightsOf = (): number => lstatSync(socketPath).mode & 0o777;
  const seen: number[] = [];
  const really = Server.prototype.listen;
  const listening = vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, ...args) {
    const server = Reflect.apply(really, this, args);
    // It is bound in this very step: others could connect from now on.
    seen.push(rightsOf());
    return server;
  });
  const before = process.umask(0);
  try {
    const listener = await listen(() => new Response(), { socketPath });
    expect(process.umask()).toBe(0);
    expect(seen.map((rights) => rights & 0o077)).toEqual([0]);
    expect(rightsOf()).toBe(0o600);
    await listener.close(0);
    listening.mockImplementation(() => {
      throw new Error('no');
    });
    await expect(listen(() => new Response(), { socketPath })).rejects.toThrow('no');
    expect(process.umask()).toBe(0);
  } finally {
    process.umask(before);
    listening.mockRestore();
  }
});
