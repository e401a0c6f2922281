// The script of the pages. Everything works without it; with it, nothing waits for a whole page.

import { undo, watchActs } from "./acts.js";
import { prepareCompose } from "./compose.js";
import { watchKeys } from "./keys.js";
import { watchChanges } from "./live.js";
import { prepareList, watchList } from "./list.js";
import { refresh } from "./net.js";
import { banner, keptNote, note } from "./notes.js";
import { watchSession } from "./session.js";
import { localTimes } from "./times.js";

localTimes(document);
watchActs();
watchList();
watchKeys();
prepareList();
prepareCompose();
document.addEventListener("shown", prepareList);
// For the style sheet, and whoever waits for it: keys and buttons work now.
document.documentElement.dataset.script = "on";

watchChanges();
watchSession();

const kept = keptNote();
if (kept) note(kept.text, kept.undo && (() => undo(kept.undo)));

addEventListener("offline", () => banner("You are offline. What you see may be old.", () => refresh({ quiet: false })));
addEventListener("online", () => void refresh().then(() => banner()));
