// The folders of a mailbox.
//
// Rule: a message stands in exactly one folder; Starred and Drafts are views, not places: a star changes no folder, and a
// draft is no message yet. Snoozed messages come back to the inbox by themselves (mailbox.ts).

/** Where a message can stand. */
export const FOLDERS = ["inbox", "snoozed", "sent", "archive", "trash"] as const;
export type Folder = (typeof FOLDERS)[number];

/** What a list can show: the folders and the two views, in the order of the side bar. */
export const PLACES = ["inbox", "starred", "snoozed", "sent", "drafts", "archive", "trash"] as const;
export type Place = (typeof PLACES)[number];

/** How a place is called on the page. */
export const TITLES: Readonly<Record<Place, string>> = {
  inbox: "Inbox",
  starred: "Starred",
  snoozed: "Snoozed",
  sent: "Sent",
  drafts: "Drafts",
  archive: "Archive",
  trash: "Trash",
};

/** True for the name of a folder. */
export function isFolder(text: string): text is Folder {
  return (FOLDERS as readonly string[]).includes(text);
}

/** True for the name of a place. */
export function isPlace(text: string): text is Place {
  return (PLACES as readonly string[]).includes(text);
}

/** Messages of a folder, and the unread ones among them. */
export interface FolderCount {
  readonly messages: number;
  readonly unread: number;
}

/** What the side bar shows. */
export type Counts = Readonly<Record<Folder | "drafts", FolderCount>>;
