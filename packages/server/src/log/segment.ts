import * as fs from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { segmentPath, writeWhole } from './folder.js';
import { encodeFileHeader, FILE_HEADER_BYTES, type FileHeader } from './format.js';

/** What is done to a segment, in the manner of node:fs; tests put a failing disk in its place. */
export interface DiskIO {
  write(
    fd: number,
    bytes: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void;
  fdatasync(fd: number, done: (error: Error | null) => void): void;
  ftruncateSync(fd: number, length: number): void;
}

/** What a probe writes: enough that a disk that takes it can take some changes. */
const ZEROS = Buffer.alloc(64 * 1024);

/** The file that changes are appended to. */
export class Segment {
  readonly number: number;
  readonly #file: FileHandle;
  readonly #io: DiskIO;
  #end: number;

  private constructor(number: number, file: FileHandle, end: number, io: DiskIO) {
    this.number = number;
    this.#file = file;
    this.#end = end;
    this.#io = io;
  }

  static async create(folder: string, number: number, header: FileHeader, io: DiskIO = fs): Promise<Segment> {
    const path = segmentPath(folder, number);
    try {
      await writeWhole(path, [encodeFileHeader(header)]);
      return new Segment(number, await open(path, 'r+'), FILE_HEADER_BYTES, io);
    } catch (error) {
      // Where it stays behind, it claims that nothing was written to the one before it any more.
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Goes on with a segment that is there. What is behind `end` is cut off. */
  static async continue(folder: string, number: number, end: number, io: DiskIO = fs): Promise<Segment> {
    const file = await open(segmentPath(folder, number), 'r+');
    await file.truncate(end);
    await file.sync();
    return new Segment(number, file, end, io);
  }

  /** Bytes in it. */
  get size(): number {
    return this.#end;
  }

  /** Appends all of `bytes`, or fails; then `cut` has to follow before anything else is appended. */
  append(bytes: Buffer, done: (error: Error | null) => void): void {
    let offset = 0;
    const next = (): void => {
      if (offset === bytes.length) {
        this.#end += bytes.length;
        done(null);
        return;
      }
      // A full disk takes a part first, and refuses the rest.
      this.#io.write(this.#file.fd, bytes, offset, bytes.length - offset, this.#end + offset, (error, written) => {
        if (error) done(error);
        else {
          offset += written;
          next();
        }
      });
    };
    next();
  }

  /** Makes what was appended durable. */
  sync(done: (error: Error | null) => void): void {
    this.#io.fdatasync(this.#file.fd, done);
  }

  /** The same, as a promise. */
  synced(): Promise<void> {
    return new Promise((resolve, reject) => this.sync((error) => (error ? reject(error) : resolve())));
  }

  /** Tries whether the disk takes more, and leaves nothing behind. */
  probe(done: (error: Error | null) => void): void {
    this.#io.write(this.#file.fd, ZEROS, 0, ZEROS.length, this.#end, (error, written) => {
      try {
        this.cut();
      } catch (failure) {
        done(failure instanceof Error ? failure : new Error(String(failure)));
        return;
      }
      done(error ?? (written < ZEROS.length ? new Error('the disk is full') : null));
    });
  }

  /** Cuts off what an append that failed has left. */
  cut(): void {
    this.#io.ftruncateSync(this.#file.fd, this.#end);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
