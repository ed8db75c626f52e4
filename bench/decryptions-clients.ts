import { connect, type Socket } from 'node:net';

/** Keep-alive connections that each ask once per round; raw sockets, so that the clients cost little. */
export class Clients {
  readonly #sockets: readonly Socket[];

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
  }

  static async connect(url: string, count: number): Promise<Clients> {
    const { hostname, port } = new URL(url);
    const sockets: Socket[] = [];
    // In portions, so that no listen queue overflows.
    while (sockets.length < count) {
      const portion = Math.min(500, count - sockets.length);
      sockets.push(
        ...(await Promise.all(Array.from({ length: portion }, () => open(hostname, Number(port))))),
      );
    }
    return new Clients(sockets);
  }

  /**
   * Sends one GET per connection.
   * @returns when each answer came, in nanoseconds of the clock that all processes share.
   */
  ask(path: string): Promise<readonly bigint[]> {
    const head = `GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`;
    return Promise.all(
      this.#sockets.map(
        (socket) =>
          new Promise<bigint>((resolve, reject) => {
            socket.once('data', (bytes: Buffer) => {
              if (bytes.includes('HTTP/1.1 200')) resolve(process.hrtime.bigint());
              else reject(new Error(bytes.toString('utf8', 0, 200)));
            });
            socket.write(head);
          }),
      ),
    );
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}
