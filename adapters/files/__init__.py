"""Files in a folder, or where an URL that fsspec opens says."""
