"""Channels: subscriptions, publishing, history and recovery."""
