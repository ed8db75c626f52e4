/** A tree of settings: objects inside, values and lists at the ends. */
type Settings = Readonly<Record<string, unknown>>;

const isSection = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The paths of all settings in which two configurations differ, such as `limits.maxKeys`, in order. A list is one
 * setting.
 */
export function differingPaths(before: unknown, after: unknown, path = ''): readonly string[] {
  if (isSection(before) && isSection(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) =>
      differingPaths(before[name], after[name], path === '' ? name : `${path}.${name}`),
    );
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [path];
}

/** The value at a path. The schema gives all configurations the same sections. */
export function settingAt(root: object, path: string): unknown {
  return sectionOf(root, path)[lastOf(path)];
}

/** Sets the value at a path in place: parts of a node hold the section, and read its values when they use them. */
export function copySetting(target: object, source: object, path: string): void {
  sectionOf(target, path)[lastOf(path)] = settingAt(source, path);
}

const lastOf = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

/** The section that holds the setting at a path. */
function sectionOf(root: object, path: string): Record<string, unknown> {
  const names = path.split('.').slice(0, -1);
  return names.reduce(
    (section, name) => section[name] as Record<string, unknown>,
    root as Record<string, unknown>,
  );
}
