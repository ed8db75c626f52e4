/**
 * Text for a terminal, control and format characters escaped: what came in evidence, from a service or from another
 * program must not move the cursor, turn the text around or fake a line.
 */
export const escapeControls = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );

/** As {@link escapeControls}, for a name of its own: quoted when anything had to be escaped. */
export const printableName = (name: string): string =>
  escapeControls(name) === name ? name : escapeControls(JSON.stringify(name));
