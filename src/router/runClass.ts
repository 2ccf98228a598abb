// Run class: what the log calls opaque. One number says how the frames of a run differ from each other's lanes. @hot

/** Canonical frames are MQTT 5 PUBLISH packets (with Property Length); otherwise 3.1 and 3.1.1 ones. */
export const CLASS_V5 = 1;
/** Published QoS, two bits. */
export const CLASS_QOS_SHIFT = 1;
export const CLASS_QOS_MASK = 6;
/** Published with RETAIN 1. */
export const CLASS_RETAIN = 8;
/** Every frame carries a Message Expiry Interval. */
export const CLASS_EXPIRY = 16;
/** A retained message for one session's new subscription: RETAIN is sent as 1, RUN_PUBLISHER is its identifier. */
export const CLASS_INBOX = 32;

/** Frames have two bytes for a Packet Identifier behind the topic: they lie as they came, at their QoS. */
export const CLASS_HOLE = 64;

export function classQos(runClass: number): number {
  return (runClass & CLASS_QOS_MASK) >>> CLASS_QOS_SHIFT;
}
