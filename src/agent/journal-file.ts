// One file that only grows, by whole texts: all of a text is on disk, or nothing of it.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const { O_APPEND, O_WRONLY } = constants;

export class JournalFile {
  /** Bytes that it was begun with. */
  readonly untouchedBytes: number;
  readonly #descriptor: number;
  #bytes: number;
  #torn = false;

  constructor(path: string, untouchedBytes: number) {
    this.untouchedBytes = untouchedBytes;
    this.#descriptor = openSync(path, O_WRONLY | O_APPEND);
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether nothing was added since it was begun. */
  get untouched(): boolean {
    return this.#bytes <= this.untouchedBytes;
  }

  /** Whether somebody removed it: what is written would vanish. */
  isGone(): boolean {
    return fstatSync(this.#descriptor).nlink === 0;
  }

  /** Throws the error of the file system; the file is then as it was. */
  append(text: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${text}` : text);
    try {
      writeWhole(this.#descriptor, bytes);
      fsyncSync(this.#descriptor);
    } catch (error) {
      this.#undo();
      throw error;
    }
    this.#torn = false;
    this.#bytes += bytes.length;
  }

  #undo(): void {
    try {
      this.cut(this.#bytes);
    } catch {
      // The next text must not become part of the line that was left unfinished.
      this.#torn = true;
    }
  }

  cut(bytes: number): void {
    ftruncateSync(this.#descriptor, bytes);
    this.#bytes = bytes;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Makes a file with this content, or none, and returns its path. */
export function createFile(directory: string, name: string, content: string): string {
  const path = join(directory, name);
  const temporary = `${path}.tmp`;
  try {
    withFile(temporary, 'w', (descriptor) => {
      writeWhole(descriptor, Buffer.from(content));
      fsyncSync(descriptor);
    });
    renameSync(temporary, path);
    withFile(directory, 'r', fsyncSync);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  return path;
}

function withFile(path: string, flags: string, use: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags, 0o600);
  try {
    use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A full disk takes a part and refuses the rest. */
function writeWhole(descriptor: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(descriptor, bytes, offset);
}
