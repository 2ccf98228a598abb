// Counters of one router. Plain numbers that only grow; metrics and tests read them.

export class Stats {
  publishesIn = 0;
  publishBytesIn = 0;
  /** Messages written frame by frame: stamped or rendered. The raw lanes write bytes and count only those. */
  messagesOut = 0;
  bytesOut = 0;
  /** Messages that no subscription matched. */
  unmatched = 0;
  /** Dropped for a client whose Maximum Packet Size they exceed. */
  droppedTooLarge = 0;
  droppedExpired = 0;
  /** QoS 0 messages that a lagging reader skipped. */
  gapMessages = 0;
  /** QoS 1 and 2 messages dropped because a session's quota was full. */
  quotaMessages = 0;
  /** QoS 0 messages published while a session with a QoS 1 or 2 subscription was offline. */
  offlineQos0 = 0;
  refusedPublishes = 0;
  /** Messages, Wills too, to topics that their clients may not publish to. */
  deniedPublishes = 0;
  /** Subscriptions that were refused, or ended, because their clients may not have them. */
  deniedSubscriptions = 0;
  /** Messages that were owed to clients which may not be sent them any more. */
  deniedDeliveries = 0;
  /** QoS 0 messages delivered but not retained: the retained budget was used up. */
  refusedRetained = 0;
  connections = 0;
  retainedMessages = 0;
}
