import { escapeControls } from '../../bytes/escape-controls.ts';

/** As {@link escapeControls}, for a name of its own: quoted when anything had to be escaped. */
export const printableName = (name: string): string =>
  escapeControls(name) === name ? name : escapeControls(JSON.stringify(name));
