const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Such as `12.5 MiB`. */
export function bytes(count: number): string {
  const step = Math.min(steps.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, count)) / 10)));
  const value = count / 1024 ** step;
  return `${step === 0 ? value : value.toFixed(1)} ${steps[step]}`;
}

/** Such as `3 min`, of milliseconds. */
export function age(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** Such as `2026-11-30 20:15:02 UTC`, of ISO 8601. */
export const time = (iso: string): string => `${iso.slice(0, 19).replace('T', ' ')} UTC`;
