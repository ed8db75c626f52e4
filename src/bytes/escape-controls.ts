/**
 * Escapes control and format characters of a text that is shown to a person. Text from evidence, a service or another
 * program must not move the cursor of a terminal, reverse the direction of writing or imitate a line of ours.
 */
export const escapeControls = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
