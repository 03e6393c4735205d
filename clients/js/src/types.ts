export type * from "./types/channels.js";
export type * from "./types/connection.js";
