// Signing out, or in as somebody else, in one tab ends what the other tabs of this browser show.
//
// Rule: each page says on opening which mailbox it is of. A page of another one then asks whether its mailbox is still open
// to this browser, and leaves if it is not: nobody goes on reading mail, or hearing of it, beside somebody who signed out.

const channel = new BroadcastChannel("mailbox");

/** Tells the other tabs which mailbox this page is of, and listens to them. */
export function watchSession() {
  const box = document.body.dataset.box ?? "";
  channel.addEventListener("message", ({ data }) => {
    if (box !== "" && data !== box) void leaveIfOut();
  });
  channel.postMessage(box);
}

async function leaveIfOut() {
  try {
    const { status } = await fetch(location.href, { method: "HEAD" });
    if (status === 401 || status === 403) location.reload();
  } catch {
    // Without a line nothing new is shown, and with the line back the page asks for what it shows.
  }
}
