/**
 * Text for people, control and format characters escaped: what came in evidence, from a service or from another program
 * must not move the cursor of a terminal, turn the text around or fake a line.
 */
export const escapeControls = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
