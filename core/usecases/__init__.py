"""What the service does: functions that take the ports they need as named parameters."""
