export { PublisherError } from "./errors.js";
export type { CallOptions, PublisherOptions } from "./exchange.js";
export type * from "./generated.js";
export { Publisher } from "./publisher.js";
export type { PublisherEnvironment, Retries } from "./retries.js";
