import type { RequestId } from '@reg/protocol';
import type { Again } from './registry/known-lines.js';

/** What a command answers, and when it may leave. */
export interface Reply {
  /** For the error that takes the reply's place if what it shows is never durable. */
  readonly id: RequestId | undefined;
  /** The last change that it shows: it leaves when that is durable. */
  readonly shows: number;
  /** The line with its ending; in pieces, made as they are sent, where it is long. */
  readonly line: string | Iterator<string>;
  /** Called when the line is on its way: for what has to come after it. Not for long replies. */
  readonly onSent?: () => void;
  /** Where the same line will be answered with the same. */
  readonly again?: Again | undefined;
}
