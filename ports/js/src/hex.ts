/** Bytes as hexadecimal text and back. */

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += (bytes[i] < 16 ? "0" : "") + bytes[i].toString(16);
  return text;
}

/** null unless `text` is exactly `size` bytes of hexadecimal digits. */
export function fromHex(text: string, size: number): Uint8Array | null {
  if (text.length !== 2 * size || !/^[0-9a-fA-F]*$/.test(text)) return null;
  return Uint8Array.from({ length: size }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
