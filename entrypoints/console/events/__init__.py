"""The log of what happened, for people: in words, the newest first, and as it goes on."""
