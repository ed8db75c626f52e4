/** Writes that are started together, so that the store makes them durable with few turns to the disk. */
const AT_ONCE = 256;

/** Does something with each item, many at once. */
export async function manyAtOnce<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < items.length; at += AT_ONCE)
    await Promise.all(items.slice(at, at + AT_ONCE).map(work));
}
