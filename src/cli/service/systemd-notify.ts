import { spawn } from 'node:child_process';

/**
 * Part of systemd, so it is there wherever a socket for notifications is. An absolute path: the host may set PATH, which
 * no measurement covers.
 */
const PROGRAM = '/usr/bin/systemd-notify';

/** The service manager confirms each message; it is given up after this many milliseconds. */
const DEADLINE_MS = 10_000;

/** Sends one message of assignments such as `READY=1`; @throws Error saying why it was not sent. */
export type Notify = (assignments: readonly string[]) => Promise<void>;

/**
 * Sends by the program `systemd-notify`: Node has no datagram sockets in the file system.
 * @param socket value of NOTIFY_SOCKET.
 * @param program another one, for tests.
 */
export const systemdNotify =
  (socket: string, program = PROGRAM): Notify =>
  (assignments) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, [...assignments], {
        env: { NOTIFY_SOCKET: socket },
        cwd: '/',
        stdio: 'ignore',
        timeout: DEADLINE_MS,
        killSignal: 'SIGKILL',
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(`${program} ended with ${signal ?? code}`));
      });
    });
