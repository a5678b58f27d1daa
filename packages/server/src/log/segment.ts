import * as fs from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { segmentPath, writeWhole } from './folder.js';
import { encodeFileHeader, FILE_HEADER_BYTES, type FileHeader } from './format.js';
import type { Tail } from './replay.js';

/** What is done to a segment, in the manner of node:fs; tests put a failing disk in its place. */
export interface DiskIO {
  writeSync(fd: number, bytes: Buffer, offset: number, length: number, position: number): number;
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

export interface SegmentOptions {
  readonly io?: DiskIO;
  /** For tests: how much room a segment makes itself at a time, at most as much as by itself. */
  readonly roomBytes?: number;
}

/**
 * So much room a segment makes itself at a time, where a sync is waited for: zeros behind its end. A sync of what lies
 * within a file writes that and nothing else; one of a file that has grown has the file system write its journal too,
 * which takes half as long again. Each stretch costs one long sync. etcd does the same with whole files of 64 MB.
 */
const ROOM_BYTES = 256 * 1024;
const ZEROS = Buffer.alloc(ROOM_BYTES);
/** What a probe writes: enough that a disk that takes it can take some changes. */
const PROBE_BYTES = 64 * 1024;

/** The file that changes are appended to. */
export class Segment {
  readonly number: number;
  readonly #file: FileHandle;
  readonly #io: DiskIO;
  readonly #roomBytes: number;
  #end: number;
  /** Where the room ends that was asked for; before `#end` where there is none. */
  #roomEnd: number;

  private constructor(number: number, file: FileHandle, end: number, roomEnd: number, options: SegmentOptions) {
    this.number = number;
    this.#file = file;
    this.#end = end;
    this.#roomEnd = roomEnd;
    this.#io = options.io ?? fs;
    this.#roomBytes = options.roomBytes ?? ROOM_BYTES;
  }

  static async create(
    folder: string,
    number: number,
    header: FileHeader,
    options: SegmentOptions = {},
  ): Promise<Segment> {
    const path = segmentPath(folder, number);
    const room = header.promised === 'replied-is-durable' ? (options.roomBytes ?? ROOM_BYTES) : 0;
    try {
      await writeWhole(path, [encodeFileHeader(header), ZEROS.subarray(0, room)]);
      return new Segment(number, await open(path, 'r+'), FILE_HEADER_BYTES, FILE_HEADER_BYTES + room, options);
    } catch (error) {
      // Where it stays behind, it claims that nothing was written to the one before it any more.
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Goes on with a segment that is there, from the end of its last whole entry. What is torn there is cut off. */
  static async continue(folder: string, { number, end, torn }: Tail, options: SegmentOptions = {}): Promise<Segment> {
    const file = await open(segmentPath(folder, number), 'r+');
    if (torn > 0) await file.truncate(end);
    await file.sync();
    const { size } = await file.stat();
    return new Segment(number, file, end, size, options);
  }

  /** Bytes in it, without the room. */
  get size(): number {
    return this.#end;
  }

  /**
   * Appends all of `bytes` at once, for who syncs it before the next. It goes into the system's memory, where what came
   * before has left, so that it waits for nothing: beside a disk kept busy by others, writes took at most 2 ms where
   * syncs took 300. Elsewhere it may have to wait.
   *
   * @throws where the disk does not take it; then `cut` has to follow before anything else is appended.
   */
  write(bytes: Buffer): void {
    for (let offset = 0; offset < bytes.length; ) {
      offset += this.#io.writeSync(this.#file.fd, bytes, offset, bytes.length - offset, this.#end + offset);
    }
    this.#end += bytes.length;
    if (this.#end > this.#roomEnd) this.#makeRoom();
  }

  /** Appends all of `bytes` beside other work, or fails as `write` does. */
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
    this.#io.write(this.#file.fd, ZEROS, 0, PROBE_BYTES, this.#end, (error, written) => {
      try {
        this.cut();
      } catch (failure) {
        done(failure instanceof Error ? failure : new Error(String(failure)));
        return;
      }
      done(error ?? (written < PROBE_BYTES ? new Error('the disk is full') : null));
    });
  }

  /** Cuts off what an append that failed has left, and the room. */
  cut(): void {
    this.#io.ftruncateSync(this.#file.fd, this.#end);
    this.#roomEnd = this.#end;
  }

  /** Leaves nothing but entries, so that every byte is under a checksum. */
  trim(): void {
    if (this.#roomEnd > this.#end) this.cut();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** Where the disk has not so much, a part will do, or none; it is asked again when so much more was written. */
  #makeRoom(): void {
    this.#roomEnd = this.#end + this.#roomBytes;
    if (this.#roomBytes === 0) return;
    try {
      this.#io.writeSync(this.#file.fd, ZEROS, 0, this.#roomBytes, this.#end);
    } catch {
      // What really is to be written will say why.
    }
  }
}
