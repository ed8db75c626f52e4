import { writeFileSync } from 'node:fs';

/**
 * Leaves all memory of this process, and of its child processes, out of core files: keys are in it. That also holds where
 * the kernel gives core files to a program, which no limit prevents (core(5)).
 * @returns whether it worked; another kernel than Linux has no such switch.
 */
export function keepMemoryOutOfCoreFiles(): boolean {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
    return true;
  } catch {
    return false;
  }
}
