// Scenarios that fail for a known reason: title, with or without a seed → what is wrong. An entry goes when its cause does.

const DEADLOCK = "acknowledgements wait behind a parked chunk for the room that they would make";
const LOST_ANSWERS = "refusing what cannot be parked resets the answers of the chunk before it";
const MISCOUNT = "QoS 0 messages skipped beyond a quota are counted as QoS 1 and 2";

export const openDefects: ReadonlyMap<string, string> = new Map([]);
