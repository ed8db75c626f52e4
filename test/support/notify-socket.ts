import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';

/** Whether the program that sends and the language of the receiver are here. */
export const canNotify =
  existsSync('/usr/bin/systemd-notify') && spawnSync('python3', ['-c', '']).status === 0;

/** The receiving end of sd_notify(3): Node has no datagram sockets in the file system. */
const receiver = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(json.dumps(s.recv(65536).decode()), flush=True)
`;

/** A socket that a service manager would listen on. */
export interface NotifySocket extends AsyncDisposable {
  /** Every message so far, each as its lines, without those that only confirm. */
  readonly messages: readonly (readonly string[])[];
  /** Waits until a message holds a line that matches. */
  line(pattern: RegExp, from?: number): Promise<readonly string[]>;
  /** Reads nothing until {@link resume}. */
  stall(): void;
  resume(): void;
}

/** Opens one at a path. */
export async function openNotifySocket(path: string): Promise<NotifySocket> {
  const child = spawn('python3', ['-c', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const messages: (readonly string[])[] = [];
  let rest = '';
  const bound = once(child.stdout.setEncoding('utf8'), 'data');
  child.stdout.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('"')) continue;
      const message = String(JSON.parse(line)).trimEnd().split('\n');
      if (!message.includes('BARRIER=1')) messages.push(message);
    }
  });
  await bound;
  return {
    messages,
    async line(pattern, from = 0) {
      for (let waited = 0; waited < 3_000; waited++) {
        const found = messages.slice(from).find((message) => message.some((line) => pattern.test(line)));
        if (found !== undefined) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`no message with ${pattern} among ${JSON.stringify(messages)}`);
    },
    stall: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}
