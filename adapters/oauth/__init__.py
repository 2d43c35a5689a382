"""OAuth2 by Authlib."""
