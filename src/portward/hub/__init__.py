"""Subscribers of the channels of this node, and the fan-out to them. In memory; no function awaits."""
