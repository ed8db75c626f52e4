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

/** Sets the value at a path in place: parts of a node hold the section, and read its values when they use them. */
export function copySetting(target: object, source: object, path: string): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  const at = (root: unknown): Record<string, unknown> => {
    // The schema gives both configurations the same sections.
    return names.reduce(
      (section, name) => section[name] as Record<string, unknown>,
      root as Record<string, unknown>,
    );
  };
  at(target)[last] = at(source)[last];
}
