// Questions and answers between the main thread and a thread of its own.
//
// Rule: every question is answered once, by a value or an error, and an error arrives as what it was: a FrondError with its
// code. When the thread ends, whoever still waits is told so.

import type { MessagePort, Worker } from "node:worker_threads";
import { FrondError, isFrondError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";

type Question = { readonly id: number; readonly name: string; readonly question: unknown };
type Answer = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: ThreadError };

/** An error on its way between threads, or processes. */
export interface ThreadError {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

/** What may be asked, by name: functions of one question that give the answer. */
type Questions<Q> = { readonly [K in keyof Q]: (question: never) => unknown };

/** The side that asks. Owns the worker's messages. */
export class Asking<Q extends Questions<Q>, News> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;
  #ended: Error | undefined;
  readonly #over: (error: Error) => void;

  /** `told`: what the thread says unasked. `over`: it has ended by itself. */
  constructor(worker: Worker, told: (news: News) => void, over: (error: Error) => void = () => {}) {
    this.#worker = worker;
    this.#over = over;
    worker.on("message", (message: Answer | News) => {
      if (isAnswer(message)) this.#answered(message);
      else told(message);
    });
    worker.on("error", (error) => this.#fell(error instanceof Error ? error : new Error(String(error))));
    worker.on("exit", (code) => this.#fell(new Error(`the thread ended with ${code}`)));
  }

  /** Asks. Rejects with what the thread throws, or with how it ended. */
  ask<K extends keyof Q & string>(name: K, question: Parameters<Q[K]>[0]): Promise<Awaited<ReturnType<Q[K]>>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#next++;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    // Who waits keeps the process alive; a thread that nobody waits for does not.
    this.#worker.ref();
    this.#worker.postMessage({ id, name, question } satisfies Question);
    return waiting.promise as Promise<Awaited<ReturnType<Q[K]>>>;
  }

  /** Everybody who waits is told `error`. */
  end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #fell(error: Error): void {
    if (this.#ended !== undefined) return;
    this.end(error);
    this.#over(error);
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    // A thread that is being ended is waited for, though nobody waits for answers any more.
    if (this.#waiting.size === 0 && this.#ended === undefined) this.#worker.unref();
    if ("error" in answer) waiting?.reject(fromThread(answer.error));
    else waiting?.resolve(answer.value);
  }
}

/** The side that answers. */
export function answerQuestions<Q extends Questions<Q>>(port: MessagePort, answers: Q): void {
  port.on("message", (message: Question | string) => {
    if (typeof message === "string") return;
    const { id, name, question } = message;
    const answer = async (): Promise<void> => {
      try {
        const value: unknown = await (answers as unknown as Record<string, (question: unknown) => unknown>)[name]?.(
          question,
        );
        port.postMessage({ id, value } satisfies Answer);
      } catch (error) {
        port.postMessage({ id, error: toThread(error) } satisfies Answer);
      }
    };
    // In a turn of its own: messages that follow each other closely are handed over in one, and timers would wait.
    setImmediate(() => void answer());
  });
}

function isAnswer(message: unknown): message is Answer {
  return typeof (message as Partial<Answer>).id === "number";
}

/** What of an error is sent. */
export function toThread(error: unknown): ThreadError {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { code: isFrondError(error) ? error.code : undefined, message, stack };
}

/** The error that was sent. */
export function fromThread({ code, message, stack }: ThreadError): Error {
  const error = code === undefined ? new Error(message) : new FrondError(code, message);
  // Where it happened, not where it arrived.
  if (stack !== undefined) error.stack = stack;
  return error;
}
