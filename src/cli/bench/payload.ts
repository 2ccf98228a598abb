// What the load generator's messages carry: whose it is and which, when it was published, and filler.
//
//   publisher, 4 bytes | sequence number, 4 bytes | time, 8 bytes of performance.now(), 0 when it is not measured | …

export const SEQUENCE_AT = 4;
export const TIME_AT = 8;
export const PAYLOAD_BYTES_MIN = 16;
const FILLER = 0x6d;

export function blankPayload(publisher: number, bytes: number): Buffer {
  const payload = Buffer.alloc(bytes, FILLER);
  payload.fill(0, 0, PAYLOAD_BYTES_MIN);
  payload.writeUInt32BE(publisher, 0);
  return payload;
}
