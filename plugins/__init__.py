"""The plugin manager and the built-in plugins, which are loaded as a third party's are."""
