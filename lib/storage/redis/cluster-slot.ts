/** A Cluster has this many slots. */
const SLOTS = 16_384;

/**
 * The slot of a key as a Redis Cluster computes it: CRC-16/XMODEM of what stands between the first
 * pair of braces, or of all of it. It tells which node a call depends on; ioredis routes by itself.
 */
export function slotOf(key: string): number {
  const bytes = Buffer.from(hashTagOf(key), 'utf8');
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) {
      crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
    }
  }
  return crc % SLOTS;
}

export function hashTagOf(key: string): string {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
}
