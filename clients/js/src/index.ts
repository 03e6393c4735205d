export { AlertsClient } from "./alerts/client.js";
export * from "./errors.js";
export { LiveClient, type LiveOptions } from "./live/client.js";
export { type Endpoint, Portward, type PortwardEvents } from "./portward.js";
export { RelayClient } from "./relay/client.js";
export { RoomsClient, type User } from "./rooms/client.js";
export type * from "./types.js";
