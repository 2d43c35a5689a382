"""HTTP to addresses that tenants and plugins name: to public ones alone, within limits, with the host's credentials."""
