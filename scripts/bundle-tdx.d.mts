/** The most that a browser may have to load, compressed. */
export declare const MAX_BUNDLE_BYTES: number;
/** Bundles the package that is staged in a folder, for browsers. */
export declare function bundleTdx(
  folder: string,
): Promise<{ readonly text: string; readonly compressedBytes: number }>;
