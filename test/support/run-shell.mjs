// Runs a line of the shell in place of itself, as far as Node.js can: it ends with it, and hands signals on.
import { spawn } from 'node:child_process';

const child = spawn('sh', ['-c', process.argv[2] ?? ''], { stdio: 'inherit' });
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
