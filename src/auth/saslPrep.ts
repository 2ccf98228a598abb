// SASLprep, RFC 4013: one form for user names and passwords that look the same. The check of right-to-left text,
// §2.3, is left out: it only refuses names, and none of them means another name.

/** RFC 3454 B.1: commonly mapped to nothing. */
const NOTHING = /\u00AD|\u034F|\u1806|[\u180B-\u180D]|[\u200B-\u200D]|\u2060|[\uFE00-\uFE0F]|\uFEFF/gu;
/** RFC 3454 C.1.2: spaces that are not U+0020. */
const SPACES = /[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/gu;
/** RFC 3454 C.2 to C.9: controls, private use, non-characters, surrogates, and what changes the text around it. */
const PROHIBITED = new RegExp(
  [
    "[\\p{Cc}\\p{Co}\\p{Cs}\\p{Noncharacter_Code_Point}",
    "\\u0340\\u0341\\u06DD\\u070F\\u180E\\u200E\\u200F\\u2028-\\u202E\\u2061-\\u2063\\u206A-\\u206F",
    "\\u2FF0-\\u2FFB\\uFFF9-\\uFFFD\\u{1D173}-\\u{1D17A}\\u{E0001}\\u{E0020}-\\u{E007F}]",
  ].join(""),
  "u",
);

const ASCII = /^[\x20-\x7E]*$/;

/** The prepared form, or null when the text holds what must not be in it. */
export function saslPrep(text: string): string | null {
  if (ASCII.test(text)) return text;
  const mapped = text.replace(SPACES, " ").replace(NOTHING, "").normalize("NFKC");
  return PROHIBITED.test(mapped) ? null : mapped;
}
