// Rights: what one client may do, compiled when it connects. The router asks once per topic and once per filter and
// keeps the answers with its routes, so that a right costs no message anything. Clients whose rules are equal share
// one Rights object, and so the routes made under it. Its answers never change: other rights are another object.

/** Which of a filter's messages may be delivered. */
export interface ReceiveRule {
  permits(topicName: string): boolean;
  /** Of the messages that `filter` matches it permits all that `other` does; false when that is not known. */
  includes(other: ReceiveRule, filter: string): boolean;
}

export interface Rights {
  /** Whether a message (a Will too) may be published to the Topic Name. */
  mayPublish(topicName: string): boolean;
  /** Whether every topic that the Topic Filter can match may be subscribed to; `filter` is without `$share/group/`. */
  maySubscribe(filter: string): boolean;
  /** Whether a message may be sent to a client that has subscribed to its topic, by this or a wider filter. */
  mayReceive(topicName: string): boolean;
  /** Null when everything that the filter matches may be delivered. Equal rules are one object. */
  receiveRule(filter: string): ReceiveRule | null;
}
