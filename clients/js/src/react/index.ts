export { PortwardProvider, useClient } from "./provider.js";
export type {
  AlertsSource,
  ClientsSource,
  Endpoint,
  LiveSource,
  PortwardProviderProps,
  PortwardSource,
  RoomsSource,
} from "./provider.js";
export { useConnection, type ConnectionView } from "./connection.js";
export { useMessages, usePresence, useRoom } from "./rooms.js";
export type {
  ChannelView,
  MessagesView,
  RoomView,
  UseMessagesOptions,
  UseRoomOptions,
} from "./rooms.js";
export { useAlerts, type AlertsView, type UseAlertsOptions } from "./alerts.js";
export { useTopic, type TopicView, type UseTopicOptions } from "./live.js";
export type { HookOptions } from "./source.js";
