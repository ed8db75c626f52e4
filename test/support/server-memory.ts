import type { KeyServer } from '../../src/keyserver/key-server.ts';
import type { AccountRegistry, Vault } from '../../src/keyserver/vault.ts';

/** The whole memory of a key server, secrets included: what an enemy inside of the server's machine has. */
export const memoryOf = (keyServer: KeyServer): Vault =>
  // The view that a key server shows is its vault; production code has no way to it without a cast like this one.
  keyServer.vault as Vault;

/** A chain about which nothing is known: keys do not age, and no platform is registered. */
export const unknownAccounts: AccountRegistry = {
  lackingRecordMs: () => 0,
  registeredPlatform: () => undefined,
};
