/**
 * A tar archive (POSIX ustar) of a few files in one folder. Owner, time and order are fixed, so that the same files
 * always make the same archive and its checksum can be compared.
 */
const BLOCK = 512;
const NAME_MAX = 100;

export interface TarFile {
  name: string;
  bytes: Uint8Array;
  isExecutable?: boolean;
}

/** The archive of `files`. Throws on a name that needs more than the plain name field. */
export function makeTar(files: TarFile[]): Uint8Array<ArrayBuffer> {
  const blocks = files.flatMap((file) => [makeHeader(file), file.bytes, new Uint8Array(padding(file.bytes.length))]);
  return concat([...blocks, new Uint8Array(2 * BLOCK)]);
}

export function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function padding(length: number): number {
  return (BLOCK - length % BLOCK) % BLOCK;
}

function makeHeader({ name, bytes, isExecutable }: TarFile): Uint8Array {
  if (!/^[\w.-]+$/.test(name) || name.length > NAME_MAX) throw new Error(`"${name}" is no plain file name`);
  const header = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => void new TextEncoder().encodeInto(text, header.subarray(at));
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, octal(isExecutable ? 0o755 : 0o644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(bytes.length, 11));
  put(136, octal(0, 11));
  put(156, "0");
  put(257, "ustar\0" + "00");
  // The checksum is summed with its own field full of spaces.
  put(148, " ".repeat(8));
  put(148, `${octal(header.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return header;
}
