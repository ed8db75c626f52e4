import { ProblemError } from '../errors/latchkey-error.ts';

/** Which folders on the path to the entry exist. */
export interface TsmPresence {
  /** `…/tsm/report`. */
  readonly directory: boolean;
  /** `…/tsm`. */
  readonly subsystem: boolean;
  /** `/sys/kernel/config`. */
  readonly configfs: boolean;
}

/** Says in plain words why configfs-tsm did not work, and what to do. */
export function explainTsmFailure(
  step: string,
  directory: string,
  cause: unknown,
  presence: TsmPresence,
): ProblemError {
  const code = errnoOf(cause);
  const unavailable = (message: string, hint: string) =>
    new ProblemError('QUOTE_SOURCE_UNAVAILABLE', message, { field: step, observed: code, hint, cause });
  if (!presence.configfs) {
    return unavailable(
      'configfs is not mounted, so this machine offers no TDX quotes',
      'mount -t configfs none /sys/kernel/config',
    );
  }
  if (!presence.directory) {
    return unavailable(
      `${directory} is missing: the kernel is older than 6.7, or its TDX guest module is not loaded`,
      presence.subsystem ? 'load it: modprobe tdx_guest' : 'Linux 6.7 or newer; modprobe tsm tdx_guest',
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return unavailable(
      `no permission for ${directory} (${step})`,
      'run as root, or give the service write access to this folder',
    );
  }
  // tsm_report_make_item answers so when no provider has registered.
  if (step === 'mkdir' && (code === 'ENXIO' || code === 'ENODEV')) {
    return unavailable(
      'no attestation provider is registered: this machine is no TD, or tdx_guest is not loaded',
      'run inside an Intel TDX virtual machine and load tdx_guest',
    );
  }
  if (code === 'ENOENT') {
    return unavailable(
      `the report entry has no ${step}: this kernel offers no TDX quotes`,
      'Linux 6.7 or newer',
    );
  }
  return new ProblemError('QUOTE_SOURCE_FAILED', `configfs-tsm failed at ${step}: ${code}`, {
    field: step,
    observed: code,
    hint: hintOf(code),
    cause,
  });
}

/** What the TDX driver means by its error numbers when a quote is asked for. */
function hintOf(code: string): string {
  switch (code) {
    case 'EBUSY':
    case 'EAGAIN':
    case 'EWOULDBLOCK':
      return 'another quote is being made; try again';
    case 'EIO':
    case 'ETIMEDOUT':
    case 'EINTR':
      return 'the quote generation service of the host did not answer; ask the operator of the host';
    default:
      return 'the log of the kernel (dmesg) may say more';
  }
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : String(error);
}
