import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import type { Lies } from './lies/lies.ts';
import type { RpcClient } from './rpc.ts';

/** One open connection with its subscriptions. */
export class Connection implements RpcClient {
  readonly lies: Lies;
  readonly #socket: WebSocket;
  readonly #subscriptions = new Map<string, () => void>();
  readonly #starts: (() => void)[] = [];
  readonly #isSilent: () => boolean;

  constructor(socket: WebSocket, lies: Lies, isSilent: () => boolean) {
    this.lies = lies;
    this.#socket = socket;
    this.#isSilent = isSilent;
  }

  send(message: object): void {
    if (this.#isSilent() || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  }

  subscribe(notification: string, start: (notify: (result: unknown) => void) => () => void): string {
    const subscription = randomUUID();
    const notify = (result: unknown): void =>
      this.send({ method: notification, params: { subscription, result } });
    // Begins only after the caller has been told the id.
    this.#starts.push(() => this.#subscriptions.set(subscription, start(notify)));
    return subscription;
  }

  startSubscriptions(): void {
    for (const start of this.#starts.splice(0)) start();
  }

  unsubscribe(id: unknown): boolean {
    const stop = this.#subscriptions.get(String(id));
    stop?.();
    return this.#subscriptions.delete(String(id));
  }

  end(): void {
    for (const stop of this.#subscriptions.values()) stop();
    this.#subscriptions.clear();
  }
}
