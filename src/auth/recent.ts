// Recent: a map of what was asked for last. It holds so many entries whose keys have so many characters in all; beyond
// that the one that nobody has asked for the longest goes, which costs whoever asks next its making.

export class Recent<V> {
  private readonly entriesMax: number;
  private readonly charactersMax: number;
  private readonly entries = new Map<string, V>();
  private characters = 0;

  constructor(entriesMax: number, charactersMax: number) {
    this.entriesMax = entriesMax;
    this.charactersMax = charactersMax;
  }

  get size(): number {
    return this.entries.size;
  }

  /** The value of `key`, made now if it is not there. */
  get(key: string, make: () => V): V {
    const known = this.entries.get(key);
    if (known !== undefined) {
      this.entries.delete(key);
      this.entries.set(key, known);
      return known;
    }
    const value = make();
    if (key.length > this.charactersMax) return value;
    this.entries.set(key, value);
    this.characters += key.length;
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.entriesMax && this.characters <= this.charactersMax) break;
      this.entries.delete(oldest);
      this.characters -= oldest.length;
    }
    return value;
  }

  clear(): void {
    this.entries.clear();
    this.characters = 0;
  }
}
