// Scenarios that fail for a known reason: title, with or without a seed → what is wrong. An entry goes when its cause
// does.

export const openDefects: ReadonlyMap<string, string> = new Map([]);
