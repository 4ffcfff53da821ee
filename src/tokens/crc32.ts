// Node.js has zlib.crc32() from 20.15.

/** The polynomial of ISO 3309, reflected. */
const POLYNOMIAL = 0xedb88320

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? remainder >>> 1 ^ POLYNOMIAL : remainder >>> 1
  return remainder
})

/** The CRC-32 of zlib and PNG. */
export function crc32 (bytes: Uint8Array): number {
  let remainder = 0xffffffff
  for (const byte of bytes) remainder = remainder >>> 8 ^ Number(TABLE[(remainder ^ byte) & 0xff])
  return ~remainder >>> 0
}
