"""Workspaces over Socket.IO: dashboards, requests for approval, and shared state."""

from portward.node.protocol_service import ProtocolRegistration
from portward.protocols.workspaces import admin
from portward.protocols.workspaces.protocol import WorkspacesProtocol
from portward.protocols.workspaces.service import WorkspaceMembers, WorkspacesService
from portward.settings.endpoint import Refuse

PROTOCOL = ProtocolRegistration(
    name="socketio",
    make=lambda endpoint, _: WorkspacesProtocol(
        endpoint.namespace or endpoint.dialect,
        endpoint.room_kinds,
        connect_errors=endpoint.refuse is Refuse.CONNECT_ERROR,
    ),
    service=WorkspacesService,
    admin_methods=(admin,),
    observe=lambda _, telemetry: WorkspaceMembers(telemetry),
)
