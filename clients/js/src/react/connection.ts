import type { PortwardError } from "../errors.js";
import type { Connected, ConnectionState } from "../types.js";
import { useClient, type Endpoint } from "./provider.js";
import { source, useHeld, useSource, type Make } from "./source.js";

/** What {@link useConnection} returns. */
export interface ConnectionView {
  readonly state: ConnectionState;
  /** Whether the machine believes to be online. */
  readonly online: boolean;
  /** Why the connection stopped, or why the last attempt failed. */
  readonly error: PortwardError | undefined;
}

const SERVER: ConnectionView = { state: "idle", online: true, error: undefined };

const look = ({ state, online, error }: Connected): ConnectionView => ({ state, online, error });

const connection: Make<Connected, object, ConnectionView> = (client) =>
  source(
    true,
    SERVER,
    (change) => {
      const show = (): void => {
        change(look(client));
      };
      show();
      return [client.on("state", show), client.on("online", show)];
    },
    look(client),
  );

/** The state of the connection of an endpoint, `rooms` unless given. It opens none. */
export function useConnection(endpoint: Endpoint = "rooms"): ConnectionView {
  return useSource(
    useHeld<Connected, object, ConnectionView>(useClient(endpoint), endpoint, {}, connection),
  );
}
