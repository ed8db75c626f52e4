import type { Extensions } from '../../protocol/extensions.ts';
import type { PeerRecord } from './held-keys.ts';

/** Sees what a server says in addition to its answer, after the grant was opened or the MAC was verified. */
export type ExtensionListener = (server: PeerRecord, extensions: Extensions) => void;

/** The parts of a node that read extensions of proved answers. */
export class ExtensionListeners {
  readonly #listeners: ExtensionListener[] = [];

  /** Calls the listener with the extensions of every proved answer from now on. */
  add(listener: ExtensionListener): void {
    this.#listeners.push(listener);
  }

  /** Gives the extensions of a proved answer to all of them. */
  tell(server: PeerRecord, extensions: Extensions): void {
    for (const listener of this.#listeners) listener(server, extensions);
  }
}
