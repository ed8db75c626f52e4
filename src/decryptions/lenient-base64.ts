const FORM = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}={0,2}|[A-Za-z0-9+/]{3}=?)?$/;

/**
 * Reads base64 as the original service does (the `base64` crate 0.13, STANDARD): standard alphabet, padding optional
 * and possibly incomplete (`YmJiYg`, `YmJiYg=`, `YmJiYg==`), trailing bits zero, no white space.
 * @returns `undefined` for anything else.
 */
export function tryFromLenientBase64(text: string): Uint8Array | undefined {
  if (!FORM.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Encoding again shows trailing bits that are not zero: they are lost in the bytes.
  const canonical = bytes.toString('base64');
  return withoutPadding(canonical) === withoutPadding(text) ? new Uint8Array(bytes) : undefined;
}

const withoutPadding = (text: string): string => text.replace(/=+$/, '');
