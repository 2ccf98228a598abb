// Layer: who takes a socket's bytes, the MQTT connection or a protocol below it. Layers stand on one another:
//
//   accepted socket → [PROXY header] → [first bytes tell] → [TLS] → [WebSocket] → Connection
//
// Each gets the bytes of the layer below through these three methods, and is that layer's user through Socket
// (connection.ts): what a Connection writes passes down the same way.

/** Who takes a socket's bytes. Called by the layer below, which holds it. */
export interface Layer {
  /** Bytes came; the buffer is the layer's until this returns. */
  data(chunk: Buffer): void;
  /** The socket takes bytes again. */
  drain(): void;
  /** The socket is gone; nothing is called after this. */
  closed(): void;
}
