"""Celery carries job ids from the relay to the workers. The jobs themselves live in the storage."""
