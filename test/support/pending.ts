// Titles of wire tests that the broker does not pass yet. They run as todo; a statement that such a title carries
// counts as pending in the registry. Delete the line once the test passes.

export const pendingTitles: ReadonlySet<string> = new Set<string>([]);
