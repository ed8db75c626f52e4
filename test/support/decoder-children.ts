import { readdirSync, readFileSync } from 'node:fs';

const readProc = (path: string): string => {
  try {
    return readFileSync(`/proc/${path}`, 'latin1');
  } catch {
    // The process has ended since it was listed.
    return '';
  }
};

/** Whether a process is there and no zombie. */
export function isAlive(pid: number): boolean {
  const state = /^State:\s+(\w)/m.exec(readProc(`${pid}/status`))?.[1];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Process ids of the decoder processes of one process, which by default is this one. */
export function decoderChildren(parent: number = process.pid): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => new RegExp(`^PPid:\\s+${parent}$`, 'm').test(readProc(`${name}/status`)))
    .filter((name) => readProc(`${name}/cmdline`).includes('decoder/main.js'))
    .map(Number)
    .filter(isAlive);
}
