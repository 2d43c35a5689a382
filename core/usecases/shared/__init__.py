"""What use cases share. They never call each other; what several need of the ports together stands here."""
