"""What goes in and out, as marshmallow schemas: they validate, write, and document."""
