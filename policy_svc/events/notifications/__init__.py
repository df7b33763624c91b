"""What registries send, each product in its own words."""

from policy_svc.events.notifications.notification import Notification, read

__all__ = ["Notification", "read"]
