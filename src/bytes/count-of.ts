/** A number with its noun, for people: `1 client`, `2 clients`. */
export const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
