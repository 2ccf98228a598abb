// The small numbers that decoders and encoders are chosen by.

/** Protocol Version byte of CONNECT: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type ProtocolLevel = 3 | 4 | 5;

export type QoS = 0 | 1 | 2;

/** PacketType.Puback, Pubrec, Pubrel, Pubcomp. */
export type AckType = 0x40 | 0x50 | 0x60 | 0x70;
