export * from "./errors.js";
export { RoomsClient, type User } from "./rooms/client.js";
export type * from "./types.js";
