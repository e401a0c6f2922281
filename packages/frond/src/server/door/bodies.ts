// Bodies that are still being made when a cell's `fetch` has answered.
//
// Rule: a streamed body belongs to the invocation that answered with it: what it reads while it is read is a statement of
// that invocation, which stays open until the body has ended or nobody wants it any more; and each chunk tells what the
// cell knew when it was made, so whoever passes it on waits for that.

import type { Caller, Invocation } from "../../cell/invocation.ts";
import { invocations, isWithin } from "../../cell/invocation.ts";
import { hear } from "../../cell/watermarks.ts";
import { hasStream, isResponse } from "./answer.ts";

/**
 * Ends the bodies that were thrown away unread: of an answer that nobody got, or that its caller only looked at. A body
 * that has ended is taken out: what is held for it names its invocation, from which errors and contexts lead to others,
 * and so a ring of bodies would hold one another for good.
 */
const unread = new FinalizationRegistry<() => void>((giveUp) => giveUp());

/** Gives the response of a cell's `fetch` to its caller. */
export function giveResponse(caller: Caller): (value: unknown, invocation: Invocation) => unknown {
  return (value, invocation) => {
    if (!isResponse(value) || !hasStream(value)) return value;
    const { status, statusText, headers } = value;
    const body = followed(value.body as ReadableStream<Uint8Array>, caller, invocation);
    return new Response(body, { status, statusText, headers });
  };
}

function followed(
  body: ReadableStream<Uint8Array>,
  caller: Caller,
  invocation: Invocation,
): ReadableStream<Uint8Array> {
  const { cell } = invocation;
  const reader = body.getReader();
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const end = (): void => {
    unread.unregister(ended);
    resolve();
  };
  cell.extend(invocation, ended);
  // Its caller has the answer, which this would hold: a body that nobody reads could never be collected.
  invocation.fail = undefined;
  const heard = (): void => {
    cell.tx.commitOpenStretch();
    hear(cell, caller);
  };
  // What was not committed is not told, and nothing of an instance that was given up.
  const check = (): void => {
    const failure = invocation.failed ?? cell.broken;
    if (failure !== undefined) throw failure;
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const reading = invocations.getStore();
          // Like an answer that comes while another has the cell: its statements would be refused. Those who read in that
          // transaction would wait for themselves.
          const { tx } = cell;
          while (tx.exclusive !== undefined && !isWithin(reading, tx.exclusive)) await tx.freed;
          const { done, value } = await invocations.run(invocation, () => reader.read());
          heard();
          check();
          // To a verb that reads it, a chunk is an answer.
          await reading?.cell.closedTo(reading);
          if (!done) return controller.enqueue(value);
          controller.close();
        } catch (error) {
          heard();
          controller.error(error);
        }
        end();
      },
      async cancel(reason) {
        try {
          await invocations.run(invocation, () => reader.cancel(reason));
        } finally {
          end();
        }
      },
    },
    // Nothing is read ahead of who reads: a chunk is as new as the wait that it asks for.
    { highWaterMark: 0 },
  );
  const giveUp = (): void => {
    void invocations.run(invocation, () => reader.cancel()).catch(() => {});
    end();
  };
  unread.register(stream, giveUp, ended);
  return stream;
}
