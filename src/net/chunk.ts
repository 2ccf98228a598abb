// Chunk: the buffer that Bun hands out with every piece that a socket receives, fresh and of exactly its size.

/** Smaller chunks are left to the collector. */
export const RELEASED_BYTES_MIN = 2048;

/** Gives a chunk's memory back at once: otherwise garbage of chunks would be most of what the process holds. */
export function release(chunk: Buffer): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length) buffer.transfer(0);
}
