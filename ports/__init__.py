"""What the core needs of the outside world, as protocols; adapters implement them."""
