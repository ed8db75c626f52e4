const POWERS = ['', 'k', 'm', 'g', 't', 'p', 'e'];

/**
 * A size as Rocket writes it: a number, perhaps with a fraction, and B, kB, MB, GB and so on (powers of 1000) or KiB,
 * MiB, GiB and so on (powers of 1024), in upper or lower case.
 * @returns Whole bytes, rounded down; `undefined` for anything else.
 */
export function parseByteSize(text: string): number | undefined {
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,15})?) *(?:([kmgtpe])(i?)b|b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, amount = '', power = '', binary = ''] = match;
  const bytes = Math.floor(
    Number(amount) * (binary === '' ? 1000 : 1024) ** POWERS.indexOf(power.toLowerCase()),
  );
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
